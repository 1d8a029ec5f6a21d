"""Two processes on the CPU do what one does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fmri_vqtok.tokenizer import FMRITokenizer
from fmri_vqtok.training.log import read_losses

SCRIPT = Path(__file__).parents[1].joinpath("loop_run.py")
KINDS = ("vq-ema", "vq-gradient", "fsq", "residual", "infonce", "siglip", "relations")


def torchrun(n_processes, *arguments):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(n_processes), *map(str, arguments),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def by_two(tmp_path_factory, cohort_dir):
    folder = tmp_path_factory.mktemp("two")
    done = torchrun(2, SCRIPT, folder, cohort_dir)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module", params=KINDS)
def both(request, by_two, tmp_path_factory, loop_run):
    """What one process and what two processes made, with one quantizer or contrast."""
    kind = request.param
    objective, records = loop_run.run(kind, tmp_path_factory.mktemp(kind), loop_run.loop())
    return objective.state_dict(), records, by_two / kind


def test_the_losses_and_metrics_of_two_processes_are_those_of_one(both):
    _, alone, folder = both
    together = read_losses(folder / "0.csv")
    assert [record[:3] for record in together] == [record[:3] for record in alone]
    for one, two in zip(alone, together, strict=True):
        assert two.value == pytest.approx(one.value, rel=1e-5, abs=1e-6), one
    assert read_losses(folder / "1.csv") == together


def test_both_processes_have_the_same_codebook_and_the_same_weights_to_the_last_bit(both):
    _, _, folder = both
    first, second = (torch.load(folder / f"{rank}.pt") for rank in (0, 1))
    assert set(first) == set(second)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_the_tokenizer_of_two_processes_is_that_of_one(both, loop_run):
    # Not weight by weight: what has no influence, such as the bias of attention keys, has round-off
    # for a gradient, which Adam scales up.
    alone, _, folder = both
    kind = folder.name
    windows = torch.randn(6, 24, 5, generator=torch.Generator().manual_seed(9))
    made = []
    for weights in (alone, torch.load(folder / "0.pt")):
        objective = loop_run.make_objective(kind).eval()
        objective.load_state_dict(weights)
        made.append(objective.tokenizer(windows).signal.detach())
    assert torch.allclose(*made, rtol=0, atol=1e-5)
    name = {"fsq": "scale", "residual": "stages.0.codebook"}.get(kind, "codebook")
    name = f"tokenizer.quantizer.{name}"
    assert torch.allclose(alone[name], torch.load(folder / "0.pt")[name], rtol=0, atol=1e-5)


def test_the_first_of_two_processes_writes_the_tokenizer_that_one_would_and_both_tell_it(
    by_two, tmp_path, cohort_dir, loop_run
):
    line = loop_run.fit(cohort_dir, tmp_path / "alone")
    assert [(by_two / f"said-{rank}.txt").read_text() for rank in (0, 1)] == [line, line]
    one, two = (
        json.loads((d / "quality.json").read_text())
        for d in (tmp_path / "alone", by_two / "tokenizer")
    )
    assert two["test"]["normalised_mse"] == pytest.approx(one["test"]["normalised_mse"], rel=1e-5)
    assert FMRITokenizer.from_pretrained(by_two / "tokenizer").config.n_codes == 32


def test_two_processes_resume_to_the_same_bits_each_with_its_own_random_states(by_two):
    for rank in (0, 1):
        whole, resumed = torch.load(by_two / f"phased-{rank}.pt")
        assert sorted(resumed) == [3, 4, 5]
        for name, value in whole[5].items():
            assert torch.equal(resumed[5][name], value), name


def test_on_two_processes_a_group_does_not_move_before_its_step_and_is_the_same_after_it(by_two):
    (first, _), (second, _) = (torch.load(by_two / f"phased-{rank}.pt") for rank in (0, 1))
    assert torch.equal(first[1]["last.weight"], first[3]["last.weight"])
    assert not torch.equal(first[3]["last.weight"], first[4]["last.weight"])
    for name, value in first[5].items():
        assert torch.equal(second[5][name], value), name


def test_a_batch_that_two_processes_cannot_share_is_refused_on_both(by_two):
    for rank in (0, 1):
        message = (by_two / f"refused-{rank}.txt").read_text()
        assert "batch_size: 3, but 2 processes share each of the 1 parts" in message


def test_without_sync_a_process_is_the_only_one(by_two):
    assert [(by_two / f"alone-{rank}.txt").read_text() for rank in (0, 1)] == 2 * ["(0, 1)"]
