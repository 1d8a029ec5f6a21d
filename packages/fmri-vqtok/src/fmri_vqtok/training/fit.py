"""Fitting a tokenizer to a cohort: scans in, a tokenizer directory out."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from fmri_vqtok.alignment.alignment import TextAlignment
from fmri_vqtok.config.stages import FitTokenizerSettings, LoopSettings
from fmri_vqtok.data.region_features import training_features
from fmri_vqtok.data.window_dataset import (
    NormalisedScan,
    TrainingWindowDataset,
    WindowDataset,
    collate,
)
from fmri_vqtok.digest import digest
from fmri_vqtok.distributed import barrier, init_process_group, is_main_process
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.cohort import Cohort
from fmri_vqtok.formats.json_files import write_json
from fmri_vqtok.pretrained.model_card import RunFacts, model_card
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.text.cache import model_fingerprint
from fmri_vqtok.tokenizer import FMRITokenizer, FMRITokenizerConfig
from fmri_vqtok.training.checks import check_surroundings
from fmri_vqtok.training.coupling import CouplingLoss
from fmri_vqtok.training.log import LossRecord, write_losses
from fmri_vqtok.training.loop import Progress, train
from fmri_vqtok.training.objective import TokenizerObjective
from fmri_vqtok.training.quality import reconstruction_quality, retrieval_quality, write_example
from fmri_vqtok.training.relation_losses import (
    ReadOut,
    initial_filters,
    start_relations,
    training_windows,
)
from fmri_vqtok.training.text_targets import (
    Scans,
    TextSource,
    TextTargets,
    check_contrast,
    text_targets,
)


def fit_tokenizer(
    cohort_dir: Path,
    directory: Path,
    settings: FitTokenizerSettings,
    *,
    seed: int,
    text: TextSource | None = None,
    device: str = "cpu",
    progress: Progress = lambda _done, _total: None,
    note: Callable[..., None] = lambda **_: None,
) -> str:
    """Fit a tokenizer to a cohort's training split and write it with its losses and quality.

    Where ``accelerate launch`` or ``torchrun`` started several processes, all of them call this
    with the same arguments: they share each step's examples, and the first one writes.

    Parameters
    ----------
    cohort_dir : Path
    directory : Path
        Existing folder for the artefacts; training resumes from checkpoints found there.
    settings : FitTokenizerSettings
    seed : int
    text : TextSource, optional
        Without it the tokenizer trains on reconstruction alone and has no text space.
    device : str, default="cpu"
    progress : callable, optional
        ``progress(done, total)`` over the training steps.
    note : callable, optional
        Called with ``captions=``, what of them entered the contrast, and ``speed=``, for the run's
        record.

    Returns
    -------
    str
        One line about the result.

    Raises
    ------
    InputError
        If the cohort or the text source cannot be used, or the checkpoints in ``directory`` are
        those of another cohort, text, model or setting.
    """
    init_process_group(device)
    cohort = Cohort(cohort_dir)
    processor = _fit_processor(cohort, settings)
    scans = _normalise(cohort, processor)
    # Here as well as in the loop: text features and the start from data take long.
    check_surroundings(settings.training, device, has_validation="validation" in scans)
    _check_readout(settings, text)
    if text is not None:
        check_contrast(settings)
    targets = text_targets(text, scans, settings, device) if text is not None else None
    if targets is not None:
        note(captions=asdict(targets.counts))
    tokenizer = _start(cohort, processor, scans, targets, text, settings, seed)
    objective = _objective(cohort, tokenizer, scans, targets, settings, seed)
    records = train(
        objective,
        *_plans(scans, processor, targets, settings, seed),
        collate,
        settings.training,
        directory,
        seed=seed,
        identity=_identity(cohort, tokenizer, targets, text, settings),
        device=device,
        progress=progress,
        note=note,
    )
    objective.to("cpu")
    quality = _quality(objective, scans)
    if is_main_process():
        n_scans = {split: len(group) for split, group in scans.items()}
        facts = RunFacts(settings=settings, seed=seed, n_scans=n_scans, quality=quality)
        tokenizer.card = model_card(tokenizer, facts)
        tokenizer.save_pretrained(directory)
        write_losses(records, directory / "losses.csv")
        write_json(quality, directory / "quality.json")
        write_example(tokenizer, scans, cohort.labels, directory / "reconstruction.npz")
    barrier()
    summary = _summary(tokenizer.config, quality)
    if targets is None:
        return summary
    return f"{summary}; {_alignment(records)}{_retrieval(quality)}; {targets.counts}"


def _objective(
    cohort: Cohort,
    tokenizer: FMRITokenizer,
    scans: Scans,
    targets: TextTargets | None,
    settings: FitTokenizerSettings,
    seed: int,
) -> TokenizerObjective:
    """Tokenizer with the losses that the settings and the text source ask for."""
    zscores = None if targets is None else targets.zscores
    has_relations = targets is not None and settings.pooling == "relations"
    coupling = relations = readout = alignment = None
    if settings.coupling_weight > 0 or zscores is not None or has_relations:
        processor = cast("TimeSeriesProcessor", tokenizer.processor)
        windows, masks = training_windows(scans["train"], processor, settings.start_windows)
        filters = initial_filters(windows, masks, cohort.networks)
        if settings.coupling_weight > 0:
            coupling = CouplingLoss(filters, settings.coupling_weight)
        if zscores is not None or has_relations:
            relations = start_relations(tokenizer, windows, masks, filters)
        if zscores is not None and relations is not None:
            readout = ReadOut(zscores, relations.n_features, settings.readout_weight)
    if targets is not None:
        with _seeded(seed + 1):
            alignment = TextAlignment(
                targets.table,
                targets.captions,
                targets.center,
                contrast=settings.contrast,
                pooling=settings.pooling,
                n_relations=0 if relations is None else relations.n_features,
                held_out=targets.held_out,
            )
    return TokenizerObjective(
        tokenizer,
        alignment,
        settings.domain_weight,
        settings.contrastive_weight,
        coupling=coupling,
        relations=relations,
        readout=readout,
    )


def _quality(objective: TokenizerObjective, scans: Scans) -> dict[str, dict[str, float]]:
    """By split, what the fitted tokenizer does with its scans."""
    tokenizer = objective.tokenizer
    quality = {split: reconstruction_quality(tokenizer, group) for split, group in scans.items()}
    if objective.alignment is not None and "validation" in scans:
        quality["validation"] |= retrieval_quality(objective, scans["validation"])
    return quality


def _identity(
    cohort: Cohort,
    tokenizer: FMRITokenizer,
    targets: TextTargets | None,
    text: TextSource | None,
    settings: FitTokenizerSettings,
) -> dict[str, Any]:
    """Name what decides the outcome of a fit beside the settings of the loop."""
    return {
        "cohort": digest(cohort.content([split for split in cohort.splits() if split != "test"])),
        "settings of the stage": asdict(replace(settings, training=LoopSettings())),
        "configuration": tokenizer.config.to_dict(),
        "language model": None if text is None else model_fingerprint(text.language_model)[:16],
        "captions": None if targets is None else targets.captions_digest,
        "text": None if targets is None else targets.corpus_digest,
        "z-scores": None
        if targets is None or targets.zscores is None
        else digest([targets.zscores]),
    }


def _fit_processor(cohort: Cohort, settings: FitTokenizerSettings) -> TimeSeriesProcessor:
    splits = cohort.splits()
    if "train" not in splits:
        raise InputError(f"{cohort.directory}: no training scans; make a cohort that has some")
    training = list(cohort.scans("train"))
    return TimeSeriesProcessor(settings.n_frames, settings.target_tr, windows=settings.windows).fit(
        [scan.bold for scan in training],
        [scan.tr for scan in training],
        [scan.site for scan in training],
        [scan.unit for scan in training],
    )


def _normalise(cohort: Cohort, processor: TimeSeriesProcessor) -> Scans:
    scans: Scans = {}
    row = 0
    for split in cohort.splits():
        scans[split] = []
        for scan in cohort.scans(split):
            series, mask = processor.normalise(scan.bold, scan.tr, scan.site)
            scans[split].append(NormalisedScan(scan.scan_id, series, mask, row))
            row += 1
    return scans


def _check_readout(settings: FitTokenizerSettings, text: TextSource | None) -> None:
    if settings.readout_weight > 0 and text is None:
        raise InputError(
            f"readout_weight: {settings.readout_weight:g}, but there are no descriptors; "
            "give --descriptors, --text and --language-model, or readout_weight 0"
        )


def _start(
    cohort: Cohort,
    processor: TimeSeriesProcessor,
    scans: Scans,
    targets: TextTargets | None,
    text: TextSource | None,
    settings: FitTokenizerSettings,
    seed: int,
) -> FMRITokenizer:
    features = training_features(cohort, scans["train"], settings)
    sizes = {} if settings.n_codes is None else {"n_codes": settings.n_codes}
    config = FMRITokenizerConfig.preset(
        settings.preset,
        decoder=settings.decoder,
        n_regions=cohort.n_regions,
        n_frames=settings.n_frames,
        patch_frames=settings.patch_frames,
        quantizer=settings.quantizer,
        vq=settings.vq,
        fsq=settings.fsq,
        residual=settings.residual,
        trellis=settings.trellis,
        external=settings.external,
        temporal_attention=settings.temporal_attention,
        attention=settings.attention,
        token_basis=settings.token_basis,
        spatial_bands=settings.spatial_bands,
        region_positions="learned" if features is None else "geometry",
        n_position_features=0 if features is None else features.shape[1],
        text_width=targets.table.shape[1] if targets is not None else None,
        text_space=text.name if text is not None else None,
        **sizes,
    )
    with _seeded(seed):
        tokenizer = FMRITokenizer(
            config, processor, cohort.parcellation, cohort.order_hash, cohort.labels, features
        )
    tokenizer.networks = None if cohort.networks is None else tuple(cohort.networks)
    tokenizer.enable_activation_checkpointing(settings.activation_checkpointing)
    generator = torch.Generator().manual_seed(seed)
    windows = _start_windows(scans["train"], settings, generator)
    tokenizer.initialise(windows, generator)
    if targets is not None:
        tokenizer.init_text_space(targets.table, targets.center)
    return tokenizer


def _start_windows(
    scans: Sequence[NormalisedScan], settings: FitTokenizerSettings, generator: torch.Generator
) -> Tensor:
    """Overlapping windows of the training scans, at most as many as asked for; (n, T, N)."""
    n_frames, limit = settings.n_frames, settings.start_windows
    places = [
        (scan.series, start)
        for scan in scans
        for start in range(0, len(scan.series) - n_frames + 1, settings.start_stride)
    ]
    if len(places) > limit:
        chosen = torch.randperm(len(places), generator=generator)[:limit].tolist()
        places = [places[k] for k in chosen]
    return torch.stack([series[start : start + n_frames] for series, start in places])


def _plans(
    scans: Scans,
    processor: TimeSeriesProcessor,
    targets: TextTargets | None,
    settings: FitTokenizerSettings,
    seed: int,
) -> tuple[TrainingWindowDataset, WindowDataset | None]:
    draws = targets.draws if targets is not None else None
    loop = settings.training
    training = TrainingWindowDataset(
        scans["train"],
        processor,
        loop.steps * loop.batch_size,
        seed=seed,
        windows=settings.training_windows,
        region_dropout=settings.region_dropout,
        text=draws,
        part_size=loop.batch_size // loop.accumulation_steps,
    )
    if "validation" not in scans:
        return training, None
    return training, WindowDataset(scans["validation"], processor, seed=seed, text=draws)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Give torch's global generator, which initialises layers, this seed for a while."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _summary(config: FMRITokenizerConfig, quality: dict[str, dict[str, float]]) -> str:
    split = next(name for name in ("test", "validation", "train") if name in quality)
    result = quality[split]
    return (
        f"{config.n_steps} x {config.n_regions} codes of {config.n_codes} a window; {split}: "
        f"normalised MSE {result['normalised_mse']:.3f}, perplexity {result['perplexity']:.0f}, "
        f"{result['codes_used']} codes used"
    )


def _alignment(records: Sequence[LossRecord]) -> str:
    """Last alignment losses, of held-out scans if there are any, beside those of chance."""
    by_split: dict[str, dict[str, float]] = {"train": {}, "validation": {}}
    for record in records:
        by_split[record.split][record.name] = record.value
    last = by_split["validation"] or by_split["train"]
    return ", ".join(
        f"{name} {last[loss]:.2f} (chance {last[f'{loss}_chance']:.2f})"
        for name, loss in (("domain loss", "domain"), ("contrast", "contrastive"))
    )


def _retrieval(quality: dict[str, dict[str, float]]) -> str:
    """How often a held-out caption finds its scan, beside chance; empty without held-out scans."""
    if "validation" not in quality:
        return ""
    found, chance = (quality["validation"][f"retrieval_{n}"] for n in ("top1", "chance"))
    return f", retrieval {found:.2f} (chance {chance:.2f})"
