"""The F2F loss over the extended vocabulary of words and codes."""

import math

import pytest
import torch

from fmri_llm.data.token_windows import TokenWindows
from fmri_llm.settings import LossWeights
from fmri_llm.training.initialise import initialise

from ..data.test_examples import token_table
from ..tiny import ARCHITECTURES, N_CODES, N_REGIONS, N_STEPS, random_codes
from .test_model import ABOUT_SCAN, REGION_MASK, losses_of


def f2f(model, codes, code_softmax):
    model.loss_weights = LossWeights(f2t=0, t2t=0, questions=0)
    model.code_softmax = code_softmax
    return losses_of(model, codes, ABOUT_SCAN)["f2f"].item()


@torch.no_grad()
def by_hand(model, codes):
    """Mean loss of the codes, one exponential after the other."""
    scans = model.checked(codes, REGION_MASK[: len(codes)])
    block = model.brain_block(scans, model.signal_steps(scans), context=False)
    hidden = model.language_model(
        inputs_embeds=block.embeddings,
        attention_mask=torch.where(block.columns.mask(), 0.0, -1e9)[:, None],
        position_ids=block.columns.position_ids,
        output_hidden_states=True,
    ).hidden_states[-1][:, 1:-1]
    words = model.language_model.get_output_embeddings()(hidden).double()
    of_codes = model.head(hidden).double()
    losses = []
    for scan in range(len(codes)):
        for step in range(N_STEPS - 1):
            for region in range(N_REGIONS):
                place = step * N_REGIONS + region
                odds = [math.exp(x) for x in [*words[scan, place], *of_codes[scan, place]]]
                code = int(codes[scan, step + 1, region])
                losses.append(-math.log(odds[len(odds) - N_CODES + code] / sum(odds)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_joint_loss_is_the_softmax_over_words_and_codes_worked_out_by_hand(
    make_model, architecture
):
    model, codes = make_model(architecture), random_codes(2)
    assert f2f(model, codes, "joint") == pytest.approx(by_hand(model, codes), rel=1e-4)


@pytest.mark.parametrize("reads_signal", [False, True])
def test_without_any_mass_on_words_both_losses_are_the_same(make_model, reads_signal):
    model, codes = make_model("llama", text_reads_signal=reads_signal), random_codes(2)
    alone = f2f(model, codes, "codes")
    assert f2f(model, codes, "joint") > alone + 1e-3
    with torch.no_grad():
        model.head.bias += 60.0
    assert f2f(model, codes, "joint") == pytest.approx(alone, rel=1e-5)


def test_codes_start_as_likely_as_all_words_together(make_model):
    model = make_model("llama")
    windows = TokenWindows(token_table())
    model.code_softmax = "joint"
    initialise(model, windows)
    codes = torch.from_numpy(windows.scan(windows.scan_ids[0]).codes)[None]
    excess = f2f(model, codes, "joint") - f2f(model, codes, "codes")
    assert excess == pytest.approx(math.log(2), abs=0.3)
