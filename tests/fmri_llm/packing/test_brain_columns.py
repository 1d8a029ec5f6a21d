"""Columns of the brain block: positions, and which of them see which."""

import torch

from fmri_llm.packing.brain_columns import BrainColumns, block_causal_mask

W, N, C = 3, 4, 2
M = W * N
SIGNAL, CONTEXT, END = slice(1, 1 + M), slice(1 + M, 1 + M + C), 1 + M + C


def columns(*, n_steps=W, steps=(W,), region_mask=(True,) * N, context_mask=(True,) * C):
    """Blocks of scans with so many steps each."""
    per_scan = torch.tensor(steps)
    step_mask = torch.arange(n_steps) < per_scan[:, None]
    return BrainColumns(
        signal_mask=(step_mask[:, :, None] & torch.tensor(region_mask)).flatten(1),
        steps_per_scan=per_scan,
        n_regions=N,
        context_mask=torch.tensor([context_mask] * len(steps)),
        context_offsets=torch.arange(C),
    )


def test_signal_tokens_see_their_own_step_and_the_past():
    assert torch.equal(columns().mask()[0, SIGNAL, SIGNAL], block_causal_mask(W, N))


def test_no_signal_token_sees_a_token_about_the_whole_scan():
    mask = columns().mask()[0, SIGNAL]
    assert not mask[:, CONTEXT].any()
    assert not mask[:, END].any()


def test_tokens_about_the_whole_scan_see_each_other_and_no_signal_token():
    mask = columns().mask()[0, CONTEXT]
    assert mask[:, CONTEXT].all()
    assert not mask[:, SIGNAL].any()


def test_every_column_sees_the_opening_token_and_only_the_end_sees_all():
    mask = columns().mask()[0]
    assert mask[:, 0].all()
    assert mask[END].all()
    assert mask[0].sum() == 1


def test_only_its_own_token_sees_a_region_without_signal():
    mask = columns(region_mask=(True, False, True, True)).mask()[0]
    absent = 1 + torch.arange(1, M, N)
    assert mask[:, absent].sum(0).tolist() == [1] * W


def test_only_its_own_token_sees_a_context_token_that_is_masked():
    mask = columns(context_mask=(True, False)).mask()[0]
    assert mask[:, CONTEXT].sum(0).tolist() == [3, 1]


def test_blocks_with_the_same_columns_share_one_mask():
    assert columns(steps=(W, W, W)).mask().shape[0] == 1
    assert columns(steps=(W, 1, W)).mask().shape[0] == 3


def test_regions_of_a_step_share_a_position_and_text_goes_on_after_the_block():
    found = columns()
    expected = [0] + [1] * N + [2] * N + [3] * N + [4, 5] + [6]
    assert found.position_ids.tolist() == [expected]
    assert found.text_start.tolist() == [7]


def test_a_shorter_scan_has_the_positions_that_it_has_alone():
    found, alone = columns(steps=(W, 1)), columns(n_steps=1, steps=(1,))
    assert found.text_start.tolist() == [7, 5]
    kept = [0, 1, 2, 3, 4, *range(1 + M, END + 1)]
    assert found.position_ids[1, kept].tolist() == alone.position_ids[0].tolist()


def test_a_block_without_tokens_is_its_two_ends():
    empty = BrainColumns(
        signal_mask=torch.zeros(2, 0, dtype=torch.bool),
        steps_per_scan=torch.zeros(2, dtype=torch.int64),
        n_regions=N,
        context_mask=torch.zeros(2, 0, dtype=torch.bool),
        context_offsets=torch.zeros(0, dtype=torch.int64),
    )
    assert empty.position_ids.tolist() == [[0, 1]] * 2
    assert empty.mask().tolist() == [[[True, False], [True, True]]]
