"""Frozen text targets of scans: the paragraphs of all domains, each encoded alone.

A caption over all domains has more tokens than a small language model reads at once, and the mean
over one long text is dominated by its longest part. So each domain's paragraph is encoded alone,
with every sentence of it, and the domains have equal weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.captions import read_captions
from fmri_vqtok.formats.names import ALL_DOMAINS
from fmri_vqtok.text.features import text_features

Sentences = dict[str, list[str]]
"""Sentences of a scan's caption by domain."""


@dataclass(frozen=True)
class CaptionCounts:
    """Counts of the captions that entered the text targets.

    Attributes
    ----------
    scans : int
    domains : dict of str to int
        By domain that is used, the number of scans with a paragraph of it.
    sentences : int
        Sentences that entered.
    sentences_left_out : int
        Those of domains that no training scan has: there is no mean to compare them with.
    """

    scans: int
    domains: dict[str, int]
    sentences: int
    sentences_left_out: int

    def __str__(self) -> str:
        domains = ", ".join(self.domains)
        return (
            f"captions: {self.sentences} sentences ({domains}), {self.sentences_left_out} left out"
        )


@dataclass(frozen=True)
class CaptionTargets:
    """Features of the captions of some scans.

    Attributes
    ----------
    features : Tensor, shape (n_scans, C)
        Mean over the domains; one that a scan lacks is imputed by its mean over training scans.
    center : Tensor, shape (C,)
        Mean over the domains of their means over the training scans.
    counts : CaptionCounts
    """

    features: Tensor
    center: Tensor
    counts: CaptionCounts


def read_sentences(descriptors_dir: Path, scan_ids: Sequence[str]) -> list[Sentences]:
    """Sentences of each scan's caption by domain, in the order of ``scan_ids``.

    Where a scan has no paragraph of a single domain, the captions over all domains are read in
    their place, for every scan.

    Raises
    ------
    InputError
        If there is no captions file or a broken one, or a scan has no caption in it.
    """
    path = descriptors_dir / "captions.jsonl"
    captions = read_captions(path)
    found = [
        {
            domain: [sentence.text for sentence in caption.sentences]
            for domain, caption in captions.get(scan_id, {}).items()
        }
        for scan_id in scan_ids
    ]
    by_domain = [{d: texts[d] for d in texts if d != ALL_DOMAINS} for texts in found]
    if all(by_domain):
        return by_domain
    for scan_id, texts in zip(scan_ids, found, strict=True):
        if ALL_DOMAINS not in texts:
            raise InputError(
                f"{path}: no caption of scan {scan_id}; describe the cohort that is tokenized"
            )
    return [{ALL_DOMAINS: texts[ALL_DOMAINS]} for texts in found]


def caption_targets(
    model_dir: Path,
    captions: Sequence[Sentences],
    is_training: Sequence[bool],
    max_tokens: int,
    *,
    device: str = "cpu",
) -> CaptionTargets:
    """Text features of captions, and the mean of those of the training scans.

    Parameters
    ----------
    model_dir : Path
        Local folder of a transformers model with its tokenizer.
    captions : sequence of dict of list of str
        Sentences by domain, one caption a scan.
    is_training : sequence of bool
        Whether the scan is of the training split; only these enter the mean.
    max_tokens, device
        As for `fmri_vqtok.text.features.text_features`.

    Raises
    ------
    InputError
        If there is no caption of a training scan, or as `text_features` does.
    """
    training = torch.tensor(list(is_training))
    known = {domain for domain in _domains(captions) if _has(captions, domain)[training].any()}
    if not known:
        raise InputError("captions: none of a training scan; describe the cohort that is tokenized")
    means, parts = [], []
    for domain in sorted(known):
        has = _has(captions, domain)
        texts = [caption[domain] for caption in captions if domain in caption]
        found = text_features(model_dir, texts, max_tokens, device=device)
        means.append(found[training[has]].mean(dim=0))
        part = means[-1].repeat(len(captions), 1)
        part[has] = found
        parts.append(part)
    return CaptionTargets(
        torch.stack(parts).mean(dim=0), torch.stack(means).mean(dim=0), _count(captions, known)
    )


def _domains(captions: Sequence[Sentences]) -> set[str]:
    return {domain for caption in captions for domain in caption}


def _has(captions: Sequence[Sentences], domain: str) -> Tensor:
    return torch.tensor([domain in caption for caption in captions])


def _count(captions: Sequence[Sentences], known: set[str]) -> CaptionCounts:
    def sentences(domains: set[str]) -> int:
        return sum(len(caption[d]) for caption in captions for d in domains & set(caption))

    return CaptionCounts(
        scans=len(captions),
        domains={d: int(_has(captions, d).sum()) for d in sorted(known)},
        sentences=sentences(known),
        sentences_left_out=sentences(_domains(captions) - known),
    )
