"""Settings of the quantizers, each default in one place; nothing heavy is loaded here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MinLen

from fmri_vqtok.errors import InputError, check_choice, did_you_mean
from fmri_vqtok.formats.validation import NonNegative, Share, check_fields

MOST_LEVELS = 256
MOST_FSQ_CODES = 2**31 - 1
"""Codes are written as 32-bit integers."""
MOST_RESIDUAL_CODES = 2**16
"""All sums of the stages are compared."""
MOST_TRELLIS_CODES = 2**16
MOST_STATE_BITS = 16
MOST_STEP_CLASSES = 64


def _check_product(key: str, factors: tuple[int, ...], most: int) -> None:
    if math.prod(factors) > most:
        raise InputError(
            f"{key}: {list(factors)} make {math.prod(factors)} codes; give at most {most}"
        )


@dataclass(frozen=True, kw_only=True)
class VQSettings:
    """A learned codebook of ``n_codes`` vectors.

    Attributes
    ----------
    update : {"ema", "gradient"}
        How the codebook learns: "ema", as a running mean of the vectors of each code; "gradient",
        as a parameter.
    distance : {"euclidean", "cosine"}
        How vectors and codes are compared: "euclidean", or "cosine", by their angle alone.
    decay : float
        Of the running means and counts, per training batch.
    commitment : float
        Weight of the loss that keeps a vector near its code.
    dead_code_threshold : float
        A code with a running count of fewer vectors per batch restarts at a vector of the batch.
    """

    update: Literal["ema", "gradient"] = "ema"
    distance: Literal["euclidean", "cosine"] = "euclidean"
    decay: Share = 0.999
    commitment: NonNegative = 0.25
    dead_code_threshold: NonNegative = 0.5

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class FSQSettings:
    """A grid: each of the ``code_width`` components of a token is rounded to one of a few levels.

    Attributes
    ----------
    levels : tuple of int
        Levels of each component, strongest first; ``n_codes`` is their product and ``code_width``
        their number.
    commitment : float
        Weight of the loss that keeps a vector near its code.
    """

    levels: Annotated[tuple[Annotated[int, Ge(2), Le(MOST_LEVELS)], ...], MinLen(1)] = (8, 4, 4, 4)
    commitment: NonNegative = 0.25

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))
        check_fields(self)
        _check_product("levels", self.levels, MOST_FSQ_CODES)


@dataclass(frozen=True, kw_only=True)
class ResidualSettings:
    """Several small codebooks whose vectors add up.

    Attributes
    ----------
    stages : tuple of int
        Codes of each stage, coarsest first; ``n_codes`` is their product.
    decay : float
        Of the running means and counts, per training batch.
    commitment : float
        Weight of the loss that keeps a vector near its code.
    dead_code_threshold : float
        A vector of a stage with a running count of fewer vectors per batch restarts.
    """

    stages: Annotated[tuple[Annotated[int, Ge(2)], ...], MinLen(1)] = (32, 16)
    decay: Share = 0.999
    commitment: NonNegative = 0.25
    dead_code_threshold: NonNegative = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        check_fields(self)
        _check_product("stages", self.stages, MOST_RESIDUAL_CODES)


@dataclass(frozen=True, kw_only=True)
class TrellisSettings:
    """The codes of a step are one bit stream; each component is read from its last few bits.

    Attributes
    ----------
    state_bits : int
        Bits of the stream that a component depends on; each further one doubles the time of the
        search for the codes, which come nearer.
    classes : int
        Kinds of steps with means and variances of their own, a power of two; all are tried.
    commitment : float
        Weight of the loss that keeps a vector near what its codes decode to.
    """

    state_bits: Annotated[int, Ge(1), Le(MOST_STATE_BITS)] = 12
    classes: int = 2
    commitment: NonNegative = 0.25

    def __post_init__(self) -> None:
        check_fields(self)
        if not _is_power_of_two(self.classes) or self.classes > MOST_STEP_CLASSES:
            raise InputError(
                f"classes: {self.classes}; give a power of two from 1 to {MOST_STEP_CLASSES}"
            )


def check_code_bits(n_codes: int, settings: TrellisSettings) -> None:
    """Refuse codes that are no whole number of bits, or too few for the classes of a trellis.

    Raises
    ------
    InputError
    """
    if not _is_power_of_two(n_codes) or not 2 <= n_codes <= MOST_TRELLIS_CODES:
        raise InputError(
            f"n_codes: {n_codes}, but codes of quantizer 'trellis' are whole bits; give a power of "
            f"two from 2 to {MOST_TRELLIS_CODES}"
        )
    if n_codes < settings.classes:
        raise InputError(
            f"n_codes: {n_codes}, but the first code of a step names one of trellis.classes "
            f"{settings.classes}; give n_codes {settings.classes} or more, or fewer classes"
        )


def _is_power_of_two(value: int) -> bool:
    return value >= 1 and value & (value - 1) == 0


@dataclass(frozen=True, kw_only=True)
class ExternalSettings:
    """A quantizer of the package vector-quantize-pytorch.

    Attributes
    ----------
    name : str
        Name of its class.
    options : dict
        What the class is made with, besides ``dim``.
    """

    name: str = "VectorQuantize"
    options: dict[str, Any] = field(default_factory=dict)


SETTINGS: dict[str, Any] = {
    "vq": VQSettings,
    "fsq": FSQSettings,
    "residual": ResidualSettings,
    "trellis": TrellisSettings,
    "external": ExternalSettings,
}
"""By the name of the quantizer, which is also the key of its settings."""


@dataclass(frozen=True, kw_only=True)
class QuantizerChoice:
    """Which quantizer, and the settings of each; those of the others have no effect.

    Attributes
    ----------
    quantizer : {"vq", "fsq", "residual", "trellis", "external"}
    vq : VQSettings
    fsq : FSQSettings
    residual : ResidualSettings
    trellis : TrellisSettings
    external : ExternalSettings
    """

    quantizer: str = "vq"
    vq: VQSettings = field(default_factory=VQSettings)
    fsq: FSQSettings = field(default_factory=FSQSettings)
    residual: ResidualSettings = field(default_factory=ResidualSettings)
    trellis: TrellisSettings = field(default_factory=TrellisSettings)
    external: ExternalSettings = field(default_factory=ExternalSettings)

    def check_quantizer(self, n_codes: int | None) -> None:
        """Turn mappings into settings, and refuse what does not fit together.

        Without ``n_codes`` any number of codes is accepted.

        Raises
        ------
        InputError
            If there is no such quantizer or setting, or ``n_codes`` is not what the settings of
            the chosen quantizer make.
        """
        check_choice("quantizer", self.quantizer, tuple(SETTINGS))
        for key, kind in SETTINGS.items():
            value = getattr(self, key)
            if isinstance(value, Mapping):
                object.__setattr__(self, key, _from_mapping(kind, value, key))
        if self.quantizer == "trellis" and n_codes is not None:
            check_code_bits(n_codes, self.trellis)
        sizes = {"fsq": ("levels", self.fsq.levels), "residual": ("stages", self.residual.stages)}
        if self.quantizer in sizes and n_codes is not None:
            name, factors = sizes[self.quantizer]
            if n_codes != math.prod(factors):
                raise InputError(
                    f"n_codes: {n_codes}, but {self.quantizer}.{name} {list(factors)} make "
                    f"{math.prod(factors)}; give n_codes {math.prod(factors)}, or other {name}"
                )


def quantizer_sizes(changes: Mapping[str, Any]) -> dict[str, int]:
    """``n_codes`` and ``code_width`` that follow from the settings of the chosen quantizer.

    Parameters
    ----------
    changes : mapping
        Fields of a tokenizer's configuration that are given.
    """
    chosen = changes.get("quantizer", "vq")
    if chosen not in ("fsq", "residual"):
        return {}
    kind = SETTINGS[chosen]
    given = changes.get(chosen, kind())
    settings = _from_mapping(kind, given, chosen) if isinstance(given, Mapping) else given
    if isinstance(settings, FSQSettings):
        return {"n_codes": math.prod(settings.levels), "code_width": len(settings.levels)}
    return {"n_codes": math.prod(settings.stages)}


def without_default_quantizer(model: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out quantizer settings at their defaults and those of quantizers not chosen.

    So the description and fingerprint of a default tokenizer stay the same when quantizers are
    added.

    Parameters
    ----------
    model : mapping
        Fields of a tokenizer's configuration, as plain values.
    """
    chosen = model["quantizer"]
    kept = {key: value for key, value in model.items() if key not in SETTINGS}
    defaults = SETTINGS[chosen]()
    if chosen == "vq":
        del kept["quantizer"]
    given = {k: v for k, v in model[chosen].items() if v != getattr(defaults, k)}
    return kept | ({chosen: given} if given else {})


def _from_mapping(kind: Any, mapping: Mapping[str, Any], section: str) -> Any:
    known = [f.name for f in fields(kind)]
    for key in mapping:
        if key not in known:
            raise InputError(f"{section}.{key}: no such setting; {did_you_mean(key, known)}")
    try:
        return kind(**mapping)
    except InputError as error:
        raise InputError(f"{section}.{error}") from error
