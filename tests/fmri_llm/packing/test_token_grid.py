import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fmri_llm.packing.brain_columns import block_causal_mask
from fmri_llm.packing.next_step import next_step
from fmri_llm.packing.token_grid import flatten, step_ids, unflatten
from fmri_vqtok.errors import InputError


@settings(max_examples=40, deadline=None)
@given(n_steps=st.integers(2, 6), n_regions=st.integers(1, 7), n_scans=st.integers(1, 3))
def test_flattening_positions_mask_and_shift_agree_on_where_a_token_stands(
    n_steps, n_regions, n_scans
):
    # Each cell of the grid says its own scan, step and region; every function must see the same.
    cells = torch.cartesian_prod(*(torch.arange(n) for n in (n_scans, n_steps, n_regions)))
    grid = cells.view(n_scans, n_steps, n_regions, 3)
    tokens = flatten(grid)
    steps, regions = step_ids(n_steps, n_regions), torch.arange(n_regions).repeat(n_steps)
    inputs, targets = next_step(grid)

    assert torch.equal(unflatten(tokens, n_regions), grid)
    assert torch.equal(tokens[0, :, 1], steps)
    assert torch.equal(tokens[0, :, 2], regions)
    for w in range(n_steps):
        for n in range(n_regions):
            assert tokens[0, w * n_regions + n].tolist() == [0, w, n]
    expected = tokens[0, None, :, 1] <= tokens[0, :, None, 1]
    assert torch.equal(block_causal_mask(n_steps, n_regions), expected)
    assert torch.equal(targets - inputs, torch.tensor([0, 1, 0]).expand_as(inputs))
    assert torch.equal(flatten(targets), tokens[:, n_regions:])


def test_a_grid_of_one_step_has_no_next_step():
    with pytest.raises(InputError, match="1 time step"):
        next_step(torch.zeros(1, 1, 4))


def test_tokens_that_fill_no_whole_number_of_steps_are_refused():
    with pytest.raises(InputError, match="7 are not a multiple of 3 regions"):
        unflatten(torch.zeros(1, 7), 3)
