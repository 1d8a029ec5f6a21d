"""Sizes and options of a tokenizer, and the presets; nothing heavy is loaded here."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from fmri_vqtok.config.quantizers import QuantizerChoice, quantizer_sizes, without_default_quantizer
from fmri_vqtok.errors import InputError, check_choice, did_you_mean

PRESETS: dict[str, dict[str, int]] = {
    "tiny": {
        "width": 128,
        "n_heads": 4,
        "encoder_depth": 2,
        "decoder_depth": 2,
        "n_codes": 512,
        "code_width": 16,
    },
    "S": {
        "width": 384,
        "n_heads": 6,
        "encoder_depth": 12,
        "decoder_depth": 12,
        "n_codes": 8192,
        "code_width": 128,
        "head_width": 2560,
    },
    "B": {
        "width": 768,
        "n_heads": 12,
        "encoder_depth": 12,
        "decoder_depth": 12,
        "n_codes": 8192,
        "code_width": 128,
        "head_width": 2560,
    },
    "L": {
        "width": 1024,
        "n_heads": 16,
        "encoder_depth": 24,
        "decoder_depth": 24,
        "n_codes": 8192,
        "code_width": 128,
        "head_width": 2560,
    },
}
"""Fields of `FMRITokenizerConfig` by the name of the preset."""

LIGHT_SHARE = 6
"""Encoder blocks per block of a light decoder, which has at least one."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "temporal_attention": ("causal", "full"),
    "attention": ("joint", "factorised"),
    "token_basis": ("shared", "regions"),
    "region_positions": ("learned", "geometry"),
}
"""What each option can be."""

_LEAST = {
    "n_regions": 1,
    "n_frames": 1,
    "patch_frames": 1,
    "width": 1,
    "n_heads": 1,
    "encoder_depth": 1,
    "decoder_depth": 0,
    "n_codes": 1,
    "code_width": 1,
    "n_position_features": 0,
    "spatial_bands": 1,
}

_LEFT_OUT_AT_DEFAULT = (
    "attention",
    "head_width",
    "n_position_features",
    "region_positions",
    "spatial_bands",
)
"""Fields that `config.json` lacks at their default, so that older fingerprints stay the same."""


def refuse_unknown(given: Collection[str], known: Collection[str], where: str = "") -> None:
    """Refuse the first name that is no field of a tokenizer, and name the nearest that is.

    Raises
    ------
    InputError
    """
    for key in given:
        if key not in known:
            hint = did_you_mean(key, known)
            raise InputError(f"{where}{key}: no such field of a tokenizer; {hint}")


@dataclass(frozen=True, kw_only=True)
class FMRITokenizerConfig(QuantizerChoice):
    """Sizes of a tokenizer, and its quantizer.

    Attributes
    ----------
    n_regions : int
        N.
    n_frames : int
        T, longest signal; W = ceil(T / P) steps have positions.
    patch_frames : int
        P.
    width, n_heads, encoder_depth, decoder_depth : int
        Of the transformers; a decoder without blocks is its positions and a linear head.
    head_width : int or None
        Hidden width of a perceptron that is added to the linear maps between latents and tokens;
        none by default.
    n_codes, code_width : int
        K and d, of the quantizer.
    quantizer : {"vq", "fsq", "residual", "trellis", "external"}
        Name of the quantizer; ``vq``, ``fsq`` and so on hold the settings of each, as the classes
        of `fmri_vqtok.config.quantizers` or as mappings.
    temporal_attention : {"causal", "full"}
        "full": tokens also attend to later steps; next-step prediction on their codes leaks the
        target.
    attention : {"joint", "factorised"}
        "joint": a token attends to all regions of the steps that `temporal_attention` allows, W²N²
        pairs. "factorised", for long scans: blocks attend alternately to the regions of a step
        and to the steps of a region, WN² or NW² pairs.
    token_basis : {"shared", "regions"}
        "shared": the N codes of a step describe its regions together, so that no bit is spent on
        what regions have in common. "regions": code (w, n) is about region n alone.
    spatial_bands : int
        Bands of coefficients along time, slow to fast, for which the shared basis has its own axes
        across regions.
    region_positions : {"learned", "geometry"}
        Position embedding of a region: learned, or a learned linear map of given features.
    n_position_features : int
        Such features per region; 0 with learned positions.
    text_width : int or None
        C, width of the text space; None without one.
    text_space : str or None
        Name of the language model whose text space it is.
    """

    n_regions: int
    n_frames: int = 160
    patch_frames: int = 32
    width: int
    n_heads: int
    encoder_depth: int
    decoder_depth: int
    head_width: int | None = None
    n_codes: int
    code_width: int
    temporal_attention: str = "causal"
    attention: str = "joint"
    token_basis: str = "shared"
    spatial_bands: int = 1
    region_positions: str = "learned"
    n_position_features: int = 0
    text_width: int | None = None
    text_space: str | None = None

    def __post_init__(self) -> None:
        for key, least in _LEAST.items():
            if getattr(self, key) < least:
                raise InputError(f"{key}: {getattr(self, key)}; give at least {least}")
        for key, known in OPTIONS.items():
            check_choice(key, getattr(self, key), known)
        if self.head_width is not None and self.head_width < 1:
            raise InputError(f"head_width: {self.head_width}; give at least 1, or none")
        if self.width % self.n_heads:
            raise InputError(f"width: {self.width}; give a multiple of n_heads, {self.n_heads}")
        if self.code_width > self.width:
            raise InputError(
                f"code_width: {self.code_width}; give at most {self.width}, the model's width"
            )
        self._check_combinations()
        self.check_quantizer(self.n_codes)

    def _check_combinations(self) -> None:
        if self.attention == "factorised" and self.encoder_depth < 2:
            raise InputError(
                f"encoder_depth: {self.encoder_depth}; give at least 2 with factorised attention: "
                "one block attends to regions, the next to steps"
            )
        if (self.region_positions == "geometry") != (self.n_position_features > 0):
            raise InputError(
                f"n_position_features: {self.n_position_features} with region_positions "
                f"'{self.region_positions}'; give the number of features with 'geometry', and 0 "
                "with 'learned'"
            )

    @classmethod
    def preset(cls, name: str, *, n_regions: int, decoder: str = "full", **changes: Any) -> Self:
        """Sizes by name.

        Parameters
        ----------
        name : {"tiny", "S", "B", "L"}
        n_regions : int
        decoder : {"full", "light"}
            "full": as many blocks as the encoder; "light": a sixth of them, at least one.
        **changes
            Fields that differ from the preset.

        Raises
        ------
        InputError
            If there is no such preset, decoder or field.
        """
        if name not in PRESETS:
            raise InputError(f"preset: '{name}'; give one of {', '.join(PRESETS)}")
        check_choice("decoder", decoder, ("full", "light"))
        refuse_unknown(changes, [field.name for field in fields(cls)])
        sizes: dict[str, Any] = {**PRESETS[name], **quantizer_sizes(changes), **changes}
        if decoder == "light" and "decoder_depth" not in changes:
            sizes["decoder_depth"] = max(1, sizes["encoder_depth"] // LIGHT_SHARE)
        return cls(n_regions=n_regions, **sizes)

    @property
    def n_steps(self) -> int:
        """W, time steps of the longest signal."""
        return -(-self.n_frames // self.patch_frames)

    @property
    def n_temporal(self) -> int:
        """Coefficients that a patch of P frames has along time, at most the width."""
        return min(self.patch_frames, self.width)

    @property
    def n_coefficients(self) -> int:
        """J, coefficients of a region in a step that the codes can draw on.

        Where a token is wider than a patch is long, those beyond `n_temporal` start at 0.
        """
        return max(self.n_temporal, self.code_width)

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values, without those of `_LEFT_OUT_AT_DEFAULT` at their defaults."""
        kept = without_default_quantizer(asdict(self))
        defaults = {field.name: field.default for field in fields(self)}
        for key in _LEFT_OUT_AT_DEFAULT:
            if kept[key] == defaults[key]:
                del kept[key]
        return kept

    @classmethod
    def from_dict(cls, model: Mapping[str, Any], where: str = "") -> Self:
        """Make the configuration that `to_dict` described.

        Parameters
        ----------
        model : mapping
        where : str, optional
            Prefix of the name of an unknown field in the message.

        Raises
        ------
        InputError
            If there is a field that this version does not know.
        TypeError, ValueError
            If a size is missing, or ``model`` is no mapping.
        """
        given = dict(model)
        refuse_unknown(given, [field.name for field in fields(cls)], where)
        return cls(**given)
