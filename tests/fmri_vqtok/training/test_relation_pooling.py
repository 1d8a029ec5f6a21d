"""Captions about connectivity alone are found through relations, and not through a mean of tokens.

Planted: the sign of the coupling of two networks, and of two others, differs from scan to scan.
"""

import itertools

import pytest
import torch

from fmri_vqtok.alignment.alignment import TextAlignment
from fmri_vqtok.model.relations import network_filters
from fmri_vqtok.tokenizer import FMRITokenizer, FMRITokenizerConfig
from fmri_vqtok.training.objective import TokenizerObjective
from fmri_vqtok.training.relation_losses import start_relations

N_REGIONS, N_FRAMES, N_KINDS = 8, 64, 4
NETWORKS = ["a", "a", "b", "b", "c", "c", "d", "d"]
SIGNS = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=2)))

pytestmark = pytest.mark.usefixtures("one_thread")


def make_scans(n_of_each, seed):
    """Scans of each kind; networks b and d follow a and c with the signs of the kind."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.arange(N_KINDS).repeat(n_of_each)
    sources = torch.randn(len(kinds), N_FRAMES, 2, generator=generator)
    followers = sources * SIGNS[kinds][:, None, :]
    networks = torch.stack([sources, followers], dim=-1).flatten(2)
    noise = torch.randn(len(kinds), N_FRAMES, N_REGIONS, generator=generator)
    signal = networks.repeat_interleave(2, dim=2) + 0.5 * noise
    return signal - signal.mean(dim=1, keepdim=True), kinds


def held_out_share(pooling):
    """How often a caption of a kind finds a held-out scan of that kind, and chance."""
    torch.manual_seed(0)
    signal, kinds = make_scans(16, seed=0)
    tokenizer = FMRITokenizer(FMRITokenizerConfig(
        n_regions=N_REGIONS, n_frames=N_FRAMES, patch_frames=8, width=16, n_heads=2,
        encoder_depth=1, decoder_depth=1, n_codes=64, code_width=4, text_width=6,
    ))  # fmt: skip
    tokenizer.initialise(signal, torch.Generator().manual_seed(0))
    mask = torch.ones(len(signal), N_REGIONS, dtype=torch.bool)
    relations = start_relations(tokenizer, signal, mask, network_filters(NETWORKS))
    texts = torch.randn(N_KINDS, 6)
    # Rows 0 to 3 stand for the kinds in training, and for one held-out scan of each kind.
    alignment = TextAlignment(
        torch.randn(20, 6), texts, texts.mean(dim=0), pooling=pooling,
        n_relations=relations.n_features, held_out=torch.arange(N_KINDS),
    )  # fmt: skip
    objective = TokenizerObjective(tokenizer, alignment, 0.0, relations=relations)
    optimiser = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    for step in range(60):
        # One scan of each kind.
        rows = torch.arange(N_KINDS) + N_KINDS * (step % 16)
        out = objective(
            signal[rows], mask[rows], ~mask[rows], kinds[rows], torch.zeros(4, 2, dtype=torch.int64)
        )
        optimiser.zero_grad()
        out["losses"]["contrastive"].backward()
        optimiser.step()
    objective.eval()
    held_out, _ = make_scans(40, seed=1)
    shares = [
        alignment.retrieval(objective.retrieval_tally(four, mask[:4], torch.arange(N_KINDS)))
        for four in held_out.split(N_KINDS)
    ]
    return sum(share["retrieval_top1"] for share in shares) / len(shares)


def test_captions_about_connectivity_are_found_through_relations():
    assert held_out_share("relations") > 0.8


def test_captions_about_connectivity_are_not_found_through_a_mean_of_tokens():
    # Chance is 0.25, of 160 captions.
    assert 0.13 < held_out_share("mean") < 0.37
