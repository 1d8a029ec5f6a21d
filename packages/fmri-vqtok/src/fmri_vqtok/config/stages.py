"""Settings of the training loop and of the two stages, with their defaults."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge

from fmri_vqtok.config.quantizers import QuantizerChoice
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.validation import Count, NonNegative, Positive, Share, check_fields

CORPUS_LIMIT = 5_000_000
"""Tokens of a corpus of plain text that are read, unless the settings say otherwise."""


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How long and how fast a model trains, and how often it is logged, validated and saved.

    Attributes
    ----------
    steps : int
        Optimizer steps.
    batch_size : int
        Examples per step, of all processes together.
    accumulation_steps : int
        Micro-batches per step; each loss is still divided by its number of targets in the whole
        step.
    precision : str
        "float32", or the mixed precisions "bfloat16" and (on a GPU) "float16".
    learning_rate : float
        Peak of the cosine schedule.
    warmup_fraction : float
        Fraction of the steps over which the rate rises from 0 to its peak.
    weight_decay : float
        Decoupled decay of the weight matrices (AdamW).
    max_grad_norm : float
        Gradients are clipped to this norm.
    checkpoint_every, evaluate_every, log_every : int
        Interval in steps; each also happens after the last step.
    patience : int
        Stop after so many validations in a row without a better one, and keep the best weights; 0
        trains to the end and keeps the last ones. A tokenizer is judged by its reconstruction.
    report_to : str
        Experiment tracker that also gets the losses: "none", "tensorboard", "wandb" or another that
        accelerate knows, or "all" that are installed.
    """

    steps: Count = 1000
    batch_size: Count = 32
    accumulation_steps: Count = 1
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    learning_rate: Positive = 1e-4
    warmup_fraction: Share = 0.05
    weight_decay: NonNegative = 0.01
    max_grad_norm: Positive = 1.0
    checkpoint_every: Count = 100
    evaluate_every: Count = 100
    log_every: Count = 10
    patience: Annotated[int, Ge(0)] = 0
    report_to: str = "none"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.batch_size % self.accumulation_steps:
            raise InputError(
                f"accumulation_steps: {self.accumulation_steps}; give a divisor of batch_size, "
                f"{self.batch_size}"
            )


@dataclass(frozen=True, kw_only=True)
class FitTokenizerSettings(QuantizerChoice):
    """Settings of ``fmri fit-tokenizer``.

    Attributes
    ----------
    preset : str
        Sizes of the model: "tiny", "S", "B" or "L".
    n_frames : int
        T, frames of a window.
    target_tr : float
        Repetition time of the windows, in seconds.
    windows : {"cover", "all", "clip"}
        Windows of a scan: "cover", one after the other, and a last one that ends with the scan, so
        that no frame is left out; "all" that do not overlap; or "clip", its first T frames only.
    patch_frames : int
        P, frames per patch.
    n_codes : int or None
        K, codes of the quantizer; those of the preset, or of the quantizer's settings, if none.
    quantizer : str
        "vq", a learned codebook; "fsq", a grid; "residual", several small codebooks that add up;
        "trellis", codes of a step that are chosen together; or "external", one of
        vector-quantize-pytorch. Each has its own settings.
    temporal_attention : str
        "causal", or "full" (next-step prediction on such codes leaks the target).
    attention : str
        "joint": a token attends to all regions of the steps that `temporal_attention` allows.
        "factorised", for long scans: alternately to the regions of its step and to the steps of
        its region.
    decoder : str
        "full", as many blocks as the encoder; "light", a sixth of them.
    region_positions : str
        Position embeddings of regions: "learned"; "geometry", from gradients of the training scans
        and the parcellation's centroids; or "gradients", from gradients alone.
    n_gradients : int
        Gradients for position embeddings, unless these are learned.
    activation_checkpointing : bool
        Recompute each block in the backward pass, to save memory in training.
    token_basis : str
        "shared": the codes of a step describe its regions together; "regions": one region each.
    spatial_bands : int
        Bands of coefficients along time with their own axes across regions.
    training_windows : str
        "random", windows that start at any frame; "all", the windows that `windows` cuts, shuffled
        in each epoch; or "clip", the first window of each scan.
    region_dropout : float
        Largest fraction of the regions that is hidden from the encoder in a training example.
    domain_weight : float
        Lambda of equation 4.
    contrastive_weight : float
        Weight of the contrast, 1 in equation 4.
    contrast : {"infonce", "siglip"}
        Contrastive loss of scans and captions: "infonce", a scan against all captions of the batch,
        as in equation 3; "siglip", each pair alone.
    pooling : {"mean", "attention", "relations"}
        Pooling of a scan's tokens for the contrastive loss: "mean"; "attention", a mean whose
        weights are learned; or "relations", the mean plus a learned linear map of log powers and
        couplings of learned weighted sums of regions.
    coupling_weight : float
        Weight of the loss of couplings: the squared difference between the decoded and the original
        signal in Fisher z of correlations over time, between networks and between regions.
    readout_weight : float
        Weight of a linear prediction of the descriptors' z-scores from such log powers and
        couplings; more than 0 needs ``--descriptors``.
    text_column : str
        Column of a data set of texts (``--text``) that holds the text.
    corpus_limit : int or None
        Tokens of ``--text`` that are read, from its start; None reads all, at any size.
    text_tokens : int
        Text embeddings drawn per training example; they have the same weight as its brain tokens.
    caption_tokens : int
        Most tokens of a domain's paragraph that the language model reads at a time; a longer one
        is read in pieces of whole sentences, to its end.
    start_stride : int
        Frames between the training windows that initialise bases and codebook.
    start_windows : int
        Most of these windows, drawn at random.
    training : LoopSettings
    """

    preset: str = "tiny"
    n_frames: Count = 160
    target_tr: Positive = 2.0
    windows: Literal["cover", "all", "clip"] = "cover"
    patch_frames: Count = 32
    n_codes: Count | None = None
    temporal_attention: Literal["causal", "full"] = "causal"
    attention: Literal["joint", "factorised"] = "joint"
    decoder: Literal["full", "light"] = "full"
    region_positions: Literal["learned", "geometry", "gradients"] = "learned"
    n_gradients: Count = 8
    activation_checkpointing: bool = False
    token_basis: Literal["shared", "regions"] = "shared"
    spatial_bands: Count = 1
    training_windows: Literal["random", "all", "clip"] = "random"
    region_dropout: Share = 0.0
    domain_weight: NonNegative = 0.5
    contrastive_weight: NonNegative = 1.0
    contrast: Literal["infonce", "siglip"] = "infonce"
    pooling: Literal["mean", "attention", "relations"] = "mean"
    coupling_weight: NonNegative = 0.0
    readout_weight: NonNegative = 0.0
    text_column: str = "text"
    corpus_limit: Count | None = CORPUS_LIMIT
    text_tokens: Count = 128
    caption_tokens: Count = 256
    start_stride: Count = 8
    start_windows: Count = 512
    training: LoopSettings = field(default_factory=LoopSettings)

    def __post_init__(self) -> None:
        check_fields(self)
        self.check_quantizer(self.n_codes)


@dataclass(frozen=True, kw_only=True)
class TokenizeSettings:
    """Settings of ``fmri tokenize``.

    Attributes
    ----------
    batch_size : int
        Windows encoded at a time.
    n_jobs : int
        Processes that encode scans, with one thread each where there are several.
    shard_scans : int
        Scans that are encoded and written together; a killed run loses at most these. Changes no
        result.
    relations : {"codes", "latents", "recording"}
        What the covariance of regions is computed from that a language model reads: "codes", by
        the model itself; "latents", before quantization, or "recording", the normalised signal:
        written with the tokens, N x N numbers a scan.
    """

    batch_size: Count = 16
    n_jobs: Count = 1
    shard_scans: Count = 16
    relations: Literal["codes", "latents", "recording"] = "codes"

    def __post_init__(self) -> None:
        check_fields(self)
