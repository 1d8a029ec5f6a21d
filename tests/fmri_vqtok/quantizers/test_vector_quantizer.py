"""The vector quantizer: nearest codes, running means, gradients and codes that nothing falls to."""

import subprocess
import sys

import pytest
import torch

from fmri_vqtok.errors import InputError
from fmri_vqtok.kernels import nearest_code
from fmri_vqtok.quantizers import VectorQuantizer


def test_the_nearest_code_is_the_one_that_the_full_distance_matrix_gives():
    torch.manual_seed(0)
    x, codebook = torch.randn(9001, 5), torch.randn(33, 5)
    assert torch.equal(nearest_code(x, codebook), torch.cdist(x, codebook).argmin(dim=1))


def test_of_two_equal_codes_the_first_is_taken():
    assert nearest_code(torch.ones(1, 2), torch.ones(2, 2)).item() == 0


def test_half_precision_input_is_compared_in_full_precision():
    # 256.5 and 257 are the same bfloat16 number, so a half-precision distance cannot tell them.
    codebook = torch.tensor([[257.5], [256.25]])
    assert nearest_code(torch.tensor([[256.0]], dtype=torch.bfloat16), codebook).item() == 1


def test_the_codebook_is_the_running_mean_of_its_vectors():
    quantizer = VectorQuantizer(n_codes=2, dim=1, decay=0.9, dead_code_threshold=0.0)
    quantizer.codebook.copy_(torch.tensor([[-1.0], [1.0]]))
    quantizer.sums.copy_(quantizer.codebook)
    quantizer.train()(torch.tensor([[-3.0], [2.0], [4.0]]))
    # Counts go from 1, 1 to 1.0, 1.1 and sums from -1, 1 to -1.2, 1.5.
    assert quantizer.codebook.flatten().tolist() == pytest.approx([-1.2 / 1.0, 1.5 / 1.1])


def test_a_dead_code_restarts_at_a_vector_of_the_batch():
    quantizer = VectorQuantizer(n_codes=2, dim=1, decay=0.5, dead_code_threshold=0.5)
    quantizer.codebook.copy_(torch.tensor([[0.0], [1000.0]]))
    quantizer.sums.copy_(quantizer.codebook)
    for _ in range(3):
        quantizer.train()(torch.full((8, 1), 2.0))
    assert quantizer.codebook[1].item() == pytest.approx(2.0)


def test_two_quantizers_that_see_the_same_batches_revive_the_same_codes():
    torch.manual_seed(0)
    batches = [torch.randn(30, 2) for _ in range(5)]
    books = []
    for noise in (1, 2):
        quantizer = VectorQuantizer(n_codes=20, dim=2, decay=0.5)
        quantizer.codebook.copy_(torch.linspace(5, 9, 40).view(20, 2))
        quantizer.sums.copy_(quantizer.codebook)
        torch.manual_seed(noise)
        for batch in batches:
            quantizer.train()(batch)
        books.append(quantizer.codebook)
    assert torch.equal(*books)


def test_more_codes_than_training_vectors_are_refused():
    with pytest.raises(InputError, match="n_codes: 16, but there are 10"):
        VectorQuantizer(16, 3).initialise(torch.randn(10, 3), torch.Generator())


def test_a_gradient_step_moves_the_used_codes_towards_their_vectors():
    quantizer = VectorQuantizer(2, 1, update="gradient", dead_code_threshold=0.0)
    quantizer.codebook.data.copy_(torch.tensor([[0.0], [10.0]]))
    quantizer.train()(torch.tensor([[1.0], [3.0]])).losses["codebook"].backward()
    # Mean over two entries of (0 - x)^2: gradient of -(1 + 3); the other code has none.
    assert quantizer.codebook.grad.flatten().tolist() == pytest.approx([-4.0, 0.0])


def test_a_dead_code_restarts_where_the_codebook_learns_by_gradient_too():
    quantizer = VectorQuantizer(2, 1, update="gradient", decay=0.5)
    quantizer.codebook.data.copy_(torch.tensor([[0.0], [1000.0]]))
    for _ in range(3):
        quantizer.train()(torch.full((8, 1), 2.0))
    assert quantizer.codebook[1].item() == 2.0


def test_with_angles_length_does_not_count():
    quantizer = VectorQuantizer(2, 2, distance="cosine").eval()
    quantizer.codebook.copy_(torch.tensor([[1.0, 0.0], [0.0, 10.0]]))
    assert quantizer(torch.tensor([[50.0, 40.0], [0.01, 0.02]])).codes.tolist() == [0, 1]


TWO_PROCESSES = """
import sys
import torch
from torch import distributed, multiprocessing
from fmri_vqtok.quantizers import VectorQuantizer

def data(n):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(n))

def run(rank, world, folder):
    torch.set_num_threads(1)
    if world > 1:
        store = f"file://{folder}/store"
        distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=world)
    quantizer = VectorQuantizer(20, 2, decay=0.5)
    quantizer.initialise(data(500 + rank)[:, None], torch.Generator().manual_seed(rank))
    for seed in range(5):
        batch = data(60 + seed) + torch.tensor([seed, 0.0])
        cut = 20 + seed
        quantizer.train()(batch if world == 1 else (batch[:cut], batch[cut:])[rank])
    torch.save(quantizer.state_dict(), f"{folder}/{world}-{rank}.pt")

if __name__ == "__main__":
    run(0, 1, sys.argv[1])
    multiprocessing.spawn(run, (2, sys.argv[1]), 2)
"""


@pytest.mark.slow
def test_two_processes_have_one_codebook_and_it_is_that_of_one_process(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES)
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    alone, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("1-0", "2-0", "2-1"))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
        assert torch.allclose(value, alone[name], atol=1e-5), name
