"""Two processes on the CPU do what one does."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fmri_vqtok.training_loop import read_losses

SCRIPT = Path(__file__).with_name("loop_run.py")
spec = importlib.util.spec_from_file_location("loop_run", SCRIPT)
loop_run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(loop_run)


def torchrun(n_processes, *arguments):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(n_processes), *map(str, arguments),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def by_two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    done = torchrun(2, SCRIPT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module", params=loop_run.CHOICES)
def both(request, by_two, tmp_path_factory):
    """What one process and what two processes made, with one kind of quantizer."""
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


def test_the_weights_of_two_processes_are_those_of_one(both):
    alone, _, folder = both
    together = torch.load(folder / "0.pt")
    for name, value in alone.items():
        assert torch.allclose(value, together[name], rtol=0, atol=1e-5), name
