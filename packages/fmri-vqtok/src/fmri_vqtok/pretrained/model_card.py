"""The README.md of a tokenizer: sizes, training data, quality and limits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from fmri_vqtok.config.quantizers import SETTINGS
from fmri_vqtok.pretrained.directory import SavableTokenizer

_FRONT_MATTER = """\
---
library_name: fmri-vqtok
tags:
- fmri
- neuroimaging
- tokenizer
- vector-quantization
# license: the terms under which the weights may be used
---
"""

_LOADING = """\
```python
from fmri_vqtok import FMRITokenizer

tokenizer = FMRITokenizer.from_pretrained("path/or/repository")
windows, mask = tokenizer.processor(timeseries, tr, site)  # timeseries (frames, regions), tr in s
codes = tokenizer.encode(windows, mask).codes  # (windows, steps, regions)
signal = tokenizer.decode(codes, mask)
vectors = tokenizer.embed(windows, level="scan", region_mask=mask)
```
"""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Facts about a training run, for the model card of its tokenizer.

    Attributes
    ----------
    settings : dataclass or mapping
        Settings of the run.
    seed : int
    n_scans : mapping of str to int
        Scans by split.
    quality : mapping of str to mapping
        By split, numbers by name, as ``quality.json`` holds them.
    """

    settings: Any
    seed: int
    n_scans: Mapping[str, int]
    quality: Mapping[str, Mapping[str, float]]


def model_card(tokenizer: SavableTokenizer, facts: RunFacts | None = None) -> str:
    """Text of a model card, the same for the same tokenizer and facts.

    Parameters
    ----------
    tokenizer : SavableTokenizer
    facts : RunFacts, optional
        Without them training and quality are "not recorded".

    Returns
    -------
    str
        Markdown with the front matter that the Hugging Face Hub reads. It names no licence.
    """
    sections = [
        "# fMRI tokenizer",
        "\n".join(_summary(tokenizer)),
        "## How to load it\n\n" + _LOADING.rstrip(),
        "## Sizes\n\n" + _table(("", "value"), _sizes(tokenizer)),
        "## Regions and signals\n\n" + "\n".join(_signals(tokenizer)),
        "## Training\n\n" + _training(facts),
        "## Quality\n\n" + _quality(facts),
        "## Limits\n\n" + "\n".join(_limits(tokenizer)),
    ]
    return _FRONT_MATTER + "\n" + "\n\n".join(sections) + "\n"


def _summary(tokenizer: SavableTokenizer) -> Iterator[str]:
    config = tokenizer.config
    yield (
        f"Turns windows of {config.n_frames} frames of {config.n_regions} regions into "
        f"{config.n_steps} x {config.n_regions} codes out of {config.n_codes}, and back."
    )
    if config.text_width is not None:
        yield (
            f"Its tokens are in the text space of {config.text_space or 'a language model'} "
            f"(width {config.text_width})."
        )


def _sizes(tokenizer: SavableTokenizer) -> Iterator[tuple[str, Any]]:
    config = tokenizer.config
    trainable = sum(p.numel() for p in tokenizer.parameters())
    yield "parameters", f"{trainable:,}"
    yield "width, heads", f"{config.width}, {config.n_heads}"
    yield "blocks of encoder, decoder", f"{config.encoder_depth}, {config.decoder_depth}"
    yield "frames per patch", config.patch_frames
    yield (
        "quantizer, codes, width of a code",
        (f"{config.quantizer}, {config.n_codes}, {config.code_width}"),
    )
    yield "attention", f"{config.attention}, {config.temporal_attention} over time"
    yield "token basis", config.token_basis
    yield "positions of regions", config.region_positions


def _signals(tokenizer: SavableTokenizer) -> Iterator[str]:
    parcellation = tokenizer.parcellation or "not recorded"
    yield f"- parcellation: {parcellation}, {tokenizer.config.n_regions} regions"
    yield f"- hash of the ordered region labels: {tokenizer.order_hash or 'not recorded'}"
    processor = tokenizer.processor
    if processor is None:
        yield "- no processor: signals have to be normalised as in training"
        return
    yield f"- repetition time after resampling: {processor.target_tr} s"
    yield f"- each region minus its median over IQR / 1.349, clipped at {processor.clip}"
    if processor.n_scans_:
        scale = f"{processor.pooled_scale_:.4f}"
        yield f"- divided by the scale of its site, or {scale} for other sites"
        yield f"- scales are those of {processor.n_scans_} training scans"
        for site, value in processor.site_scale_.items():
            yield f"  - site {site}: {value:.4f}"


def _training(facts: RunFacts | None) -> str:
    if facts is None:
        return "Not recorded in this card."
    scans = ", ".join(f"{n} {split}" for split, n in facts.n_scans.items())
    settings = dict(_flat(facts.settings))
    # Settings of quantizers that were not chosen had no effect.
    idle = {name for name in SETTINGS if name != settings.get("quantizer")}
    kept = [(key, value) for key, value in settings.items() if key.split(".")[0] not in idle]
    rows = [("scans", scans), ("seed", facts.seed), *kept]
    return _table(("setting", "value"), rows)


def _quality(facts: RunFacts | None) -> str:
    if facts is None or not facts.quality:
        return "Not recorded in this card."
    names = sorted({name for numbers in facts.quality.values() for name in numbers})
    rows = [
        (split, *(_short(numbers.get(name, "")) for name in names))
        for split, numbers in facts.quality.items()
    ]
    meaning = (
        "`normalised_mse` is the sum of squared errors over the sum of squares of the normalised "
        "windows: 0 is perfect, and predicting 0 everywhere gives 1."
    )
    return _table(("split", *names), rows) + "\n\n" + meaning


def _limits(tokenizer: SavableTokenizer) -> Iterator[str]:
    config = tokenizer.config
    yield "- It accepts this region order only; another is refused."
    yield f"- A window holds at most {config.n_frames} frames; longer scans are cut."
    if config.temporal_attention == "full":
        yield "- A token sees later steps: next-step prediction on its codes leaks the target."
    if config.token_basis == "shared":
        yield "- The codes of a step describe its regions together: no code is about one region."
    yield (
        "- Codes are lossy. Scans of sites, scanners or populations that it was not trained on may "
        "be reconstructed worse. It is no medical device."
    )


def _flat(settings: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if is_dataclass(settings):
        pairs = [(field.name, getattr(settings, field.name)) for field in fields(settings)]
    else:
        pairs = list(settings.items())
    for key, value in pairs:
        if is_dataclass(value) or (isinstance(value, Mapping) and value):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
