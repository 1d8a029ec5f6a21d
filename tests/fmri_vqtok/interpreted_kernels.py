"""Run both implementations on shared vectors in Triton's interpreter; writes a file of tensors."""

import sys

import torch

from fmri_vqtok.kernels import nearest_code, sum_by_code

SHAPES = [(1, 1, 1), (70, 65, 33), (129, 200, 48), (64, 64, 32), (3, 130, 5), (0, 4, 2)]


def vectors(M, K, d, dtype, *, tied):
    generator = torch.Generator().manual_seed(M + K + d)
    if tied:  # small whole numbers: every distance is exact, and many are equal
        x = torch.randint(-1, 2, (M, d), generator=generator)
        codebook = torch.randint(-1, 2, (K, d), generator=generator)
        codebook[K // 2 :] = codebook[: K - K // 2].clone()
        return x.to(dtype), codebook.to(dtype)
    x = torch.randn(M, d, generator=generator)
    return x.to(dtype), torch.randn(K, d, generator=generator)


def main(path):
    results = {}
    for shape in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            for tied in (False, True):
                x, codebook = vectors(*shape, dtype, tied=tied)
                plain = nearest_code(x, codebook, backend="torch")
                nearest = nearest_code(x, codebook, backend="triton")
                sums = [sum_by_code(x, plain, shape[1], backend=b) for b in ("torch", "triton")]
                results[shape, str(dtype), tied] = (plain, nearest, *sums)
    torch.save(results, path)


if __name__ == "__main__":
    main(sys.argv[1])
