import sys
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fmri_vqtok import kernels
from fmri_vqtok.errors import InputError
from fmri_vqtok.kernels import chosen_backend, nearest_code, reference, sum_by_code
from fmri_vqtok.kernels.verification import triton_agrees

SHAPES = [(1, 1, 1), (1025, 3, 2), (2049, 65, 7), (5, 130, 33), (300, 20_000, 3)]


@pytest.fixture(autouse=True)
def _no_switch(monkeypatch):
    monkeypatch.delenv("FMRI_VQTOK_KERNELS", raising=False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize(("M", "K", "d"), SHAPES)
def test_the_nearest_code_is_that_of_exact_distances(M, K, d, dtype):
    generator = torch.Generator().manual_seed(M)
    x = torch.randn(M, d, generator=generator).to(dtype)
    codebook = torch.randn(K, d, generator=generator)
    exact = torch.cdist(x.double(), codebook.double(), compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.equal(nearest_code(x, codebook), exact.argmin(dim=1))


def test_equal_codes_give_the_lowest_index_in_every_chunk():
    generator = torch.Generator().manual_seed(0)
    codebook = torch.randint(-2, 3, (40, 3), generator=generator).float()
    x = codebook.repeat(80, 1)
    first = (codebook[:, None] == codebook).all(dim=2).int().argmax(dim=1)
    many = codebook.repeat(500, 1)
    assert len(x) > reference.rows_at_once(len(many))
    assert torch.equal(nearest_code(x, many), first.repeat(80))


def test_of_equal_codes_in_two_blocks_and_in_one_the_lowest_index_wins():
    codebook = torch.full((5 * reference.BLOCK, 2), 9.0)
    same = [reference.BLOCK - 1, reference.BLOCK, 3 * reference.BLOCK + 5, 3 * reference.BLOCK + 6]
    for first, *_ in (same, same[1:], same[2:]):
        codebook[same] = 9.0
        codebook[[code for code in same if code >= first]] = 1.0
        assert nearest_code(torch.ones(3, 2), codebook).tolist() == [first] * 3


def test_a_code_that_only_overflowing_distances_have_is_still_a_code():
    # Every distance is infinite, as are those of the codes that fill up the last block.
    assert nearest_code(torch.ones(2, 1), torch.full((3, 1), 3e38)).tolist() == [0, 0]


def test_the_same_vectors_give_the_same_bits_again():
    generator = torch.Generator().manual_seed(0)
    x, codebook = (torch.randn(n, 16, generator=generator) for n in (3000, 700))
    codes = nearest_code(x, codebook)
    sums = sum_by_code(x, codes, 700)
    for _ in range(3):
        assert torch.equal(nearest_code(x, codebook), codes)
        assert all(map(torch.equal, sum_by_code(x, codes, 700), sums))


def test_vectors_that_are_a_strided_view_have_the_codes_of_their_copy():
    generator = torch.Generator().manual_seed(0)
    x, codebook = (torch.randn(6, n, 8, generator=generator) for n in (40, 50))
    x, codebook = x.transpose(0, 1)[..., ::2], codebook[0].T[::2].T
    assert torch.equal(nearest_code(x, codebook), nearest_code(x.clone(), codebook.clone()))


def test_the_matrix_of_all_distances_is_never_held():
    sizes = []

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, operator, types, arguments=(), options=None):
            result = operator(*arguments, **(options or {}))
            sizes.extend(
                part.untyped_storage().nbytes()
                for part in (result if isinstance(result, tuple) else (result,))
                if isinstance(part, torch.Tensor)
            )
            return result

    x, codebook = torch.randn(4000, 8), torch.randn(8192, 8)
    with Watched():
        reference.nearest_code(x, codebook)
    assert 1e6 < max(sizes) <= reference.BUFFER_BYTES < len(x) * len(codebook) * 4


def test_no_vectors_have_no_codes():
    assert nearest_code(torch.zeros(2, 0, 5), torch.zeros(4, 5)).shape == (2, 0)


def test_the_sums_of_half_precision_vectors_are_taken_in_full_precision():
    codes = torch.zeros(1000, dtype=torch.int64)
    counts, sums = sum_by_code(torch.ones(1000, 1, dtype=torch.bfloat16), codes, 2)
    assert counts.tolist() == [1000, 0]  # bfloat16 would stop at 256
    assert sums.tolist() == [[1000], [0]]


def test_sums_are_those_of_adding_one_vector_after_another():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 6, generator=generator)
    codes = torch.randint(9, (500,), generator=generator)
    _, sums = sum_by_code(x, codes, 9)
    expected = torch.stack([x[codes == code].double().sum(dim=0) for code in range(9)])
    assert torch.allclose(sums.double(), expected, atol=1e-5)


def test_compilation_keeps_both_operators_in_one_graph():
    kept = []

    def record(graph, inputs):
        kept.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    def assign(x, codebook):
        codes = nearest_code(x, codebook)
        return codes, *sum_by_code(x, codes, codebook.shape[0])

    x, codebook = torch.randn(9, 3), torch.randn(5, 3)
    torch.compile(assign, fullgraph=True, backend=record)(x, codebook)
    assert {n for n in kept if "fmri_vqtok" in n} == {
        "fmri_vqtok.nearest_code.default",
        "fmri_vqtok.sum_by_code.default",
    }


def test_compiled_code_gives_the_same_codes():
    x, codebook = torch.randn(9, 3), torch.randn(5, 3)
    compiled = torch.compile(nearest_code, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x, codebook), nearest_code(x, codebook))


@pytest.mark.parametrize("name", ["nearest_code", "sum_by_code"])
def test_the_declared_result_of_an_operator_is_the_real_one(name):
    x, codes = torch.randn(9, 3), torch.arange(9) % 5
    operator = getattr(torch.ops.fmri_vqtok, name).default
    given = (x, torch.randn(5, 3), "auto") if name == "nearest_code" else (x, codes, 5, "auto")
    checks = ("test_schema", "test_faketensor", "test_aot_dispatch_static")
    assert set(torch.library.opcheck(operator, given, test_utils=checks).values()) == {"SUCCESS"}


@pytest.mark.parametrize(
    ("mode", "device", "expected"),
    [("off", "cuda", "torch"), ("off", "cpu", "torch"), ("auto", "cpu", "torch")],
)
def test_the_environment_variable_chooses_the_backend(monkeypatch, mode, device, expected):
    monkeypatch.setenv("FMRI_VQTOK_KERNELS", mode)
    assert chosen_backend(device) == expected


@pytest.fixture
def fused(monkeypatch):
    """Stands for the Triton module: plain torch that counts, and may have a fault."""
    module = SimpleNamespace(
        fault=None, n_calls=0, sum_by_code=reference.sum_by_code, nearest_code=None
    )

    def near(x, codebook):
        module.n_calls += 1
        if module.fault == "fails":
            raise RuntimeError("no kernel image\nis available")
        codes = reference.nearest_code(x, codebook)
        return codes.roll(1) if module.fault == "differs" else codes

    module.nearest_code = near
    monkeypatch.setattr(kernels, "fused", module, raising=False)
    monkeypatch.setitem(sys.modules, "fmri_vqtok.kernels.triton_kernels", module)
    triton_agrees.cache_clear()
    yield module
    triton_agrees.cache_clear()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (None, None),
        ("differs", "nearest_code differs for 37 vectors of 3 torch.float32, 5 codes; plain torch"),
        ("fails", "RuntimeError: no kernel image is available; plain torch runs in their place"),
    ],
)
def test_a_kernel_that_fails_or_differs_is_logged_once_and_not_used(fused, caplog, fault, told):
    fused.fault = fault
    assert triton_agrees(torch.device("cpu")) is (told is None)
    n_calls = fused.n_calls
    assert triton_agrees(torch.device("cpu")) is (told is None)
    assert fused.n_calls == n_calls
    assert [told in record.message for record in caplog.records] == ([] if told is None else [True])


@pytest.mark.parametrize(("agrees", "expected"), [(True, "triton"), (False, "torch")])
def test_on_a_gpu_triton_runs_where_it_agrees_with_torch(monkeypatch, agrees, expected):
    pytest.importorskip("triton")
    monkeypatch.delenv("FMRI_VQTOK_KERNELS", raising=False)
    monkeypatch.setattr("fmri_vqtok.kernels.backend.triton_agrees", lambda _device: agrees)
    assert chosen_backend("cuda:0") == expected


def test_the_environment_variable_takes_no_other_value(monkeypatch):
    monkeypatch.setenv("FMRI_VQTOK_KERNELS", "on")
    with pytest.raises(InputError, match="FMRI_VQTOK_KERNELS=on: set it to one of off, auto, req"):
        nearest_code(torch.ones(1, 1), torch.ones(1, 1))


def test_an_unknown_backend_is_refused():
    with pytest.raises(InputError, match="backend: 'cuda'; give one of auto, torch, triton"):
        nearest_code(torch.ones(1, 1), torch.ones(1, 1), backend="cuda")


def test_required_kernels_without_a_gpu_are_one_error(monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.setenv("FMRI_VQTOK_KERNELS", "require")
    with pytest.raises(InputError, match=r"=require, but the vectors are on 'cpu': use a CUDA"):
        nearest_code(torch.ones(1, 1), torch.ones(1, 1))


def test_required_kernels_without_triton_name_the_extra(monkeypatch):
    monkeypatch.setattr("fmri_vqtok.kernels.backend.find_spec", lambda name: None)
    monkeypatch.setenv("FMRI_VQTOK_KERNELS", "require")
    with pytest.raises(InputError, match=r"pip install 'fmri-vqtok\[kernels\]'"):
        chosen_backend("cuda")
    monkeypatch.setenv("FMRI_VQTOK_KERNELS", "auto")
    assert chosen_backend("cuda") == "torch"
