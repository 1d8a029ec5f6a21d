"""The Triton kernels without a GPU: their results interpreted, their code compiled."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory):
    """Codes and sums of both implementations by (shape, dtype, tied)."""
    path = tmp_path_factory.mktemp("interpreted") / "results.pt"
    script = Path(__file__).parents[1].joinpath("interpreted_kernels.py")
    # The interpreter has to be chosen before Triton is imported, so in a process of its own.
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, script, path], check=False, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return torch.load(path)


def test_the_fused_kernel_gives_the_very_same_codes(interpreted):
    assert len(interpreted) == 24
    wrong = [case for case, (plain, fused, *_) in interpreted.items() if not plain.equal(fused)]
    assert wrong == []


def test_the_cases_with_ties_have_ties_that_the_first_code_wins(interpreted):
    plain, fused, *_ = interpreted[(129, 200, 48), "torch.bfloat16", True]
    assert plain.max() < 100  # the second half of the codebook repeats the first
    assert fused.max() < 100


def test_the_ordered_sums_are_those_of_index_add(interpreted):
    for *_, (counts, sums), (fused_counts, fused_sums) in interpreted.values():
        assert counts.equal(fused_counts)
        torch.testing.assert_close(fused_sums, sums, rtol=1e-5, atol=1e-5)


def resources(cubin, folder):
    """Registers, and bytes of stack and local memory, of a compiled kernel."""
    import triton

    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    file = folder / "kernel.cubin"
    file.write_bytes(cubin)
    text = subprocess.run(
        [tool, "-res-usage", file], check=True, capture_output=True, text=True
    ).stdout
    return {name: int(n) for name, n in re.findall(r"\b(REG|STACK|LOCAL):(\d+)", text)}


@pytest.mark.parametrize("capability", [80, 90, 100])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["nearest_kernel", "sum_kernel"])
def test_compiled_kernels_spill_no_registers_and_count_in_64_bits(
    name, dtype, capability, tmp_path, monkeypatch, record_property
):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from fmri_vqtok.kernels import triton_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    kernel = getattr(triton_kernels, name)
    blocks = {
        "nearest_kernel": triton_kernels.NEAREST_BLOCKS,
        "sum_kernel": triton_kernels.SUM_BLOCKS,
    }[name]
    types = {"x_ptr": f"*{dtype}", "codebook_ptr": "*fp32", "half_norms_ptr": "*fp32"}
    types |= {"nearest_ptr": "*i64", "order_ptr": "*i64", "offsets_ptr": "*i64"}
    types |= {"sums_ptr": "*fp32"} | dict.fromkeys(blocks, "constexpr")
    signature = {argument: types.get(argument, "i32") for argument in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=signature, constexprs=blocks)
    target = GPUTarget("cuda", capability, 32)
    built = triton.compile(source, target=target, options=triton_kernels.OPTIONS)
    used = resources(built.asm["cubin"], tmp_path)
    for resource, amount in used.items():
        record_property(resource, amount)
    report = ", ".join(f"{resource} {amount}" for resource, amount in used.items())
    print(f"{name} {dtype} sm_{capability}: {report}")  # noqa: T201 - `pytest -rP` shows it
    # With many vectors a row times the width passes 2**31.
    products = re.findall(r"arith\.muli .* : tensor<\d+x\d+x(i\d+)>", built.asm["ttir"])
    assert set(products) == {"i64"}
    # Spilled registers live in the thread's stack frame.
    assert (used["STACK"], used["LOCAL"]) == (0, 0), used
    assert 0 < used["REG"] < 256
