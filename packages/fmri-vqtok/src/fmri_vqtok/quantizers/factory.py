"""The quantizer that settings ask for."""

from dataclasses import asdict

from fmri_vqtok.config.quantizers import QuantizerChoice
from fmri_vqtok.errors import InputError
from fmri_vqtok.quantizers.base import Quantizer
from fmri_vqtok.quantizers.external import make_external
from fmri_vqtok.quantizers.fsq import FiniteScalarQuantizer
from fmri_vqtok.quantizers.residual import ResidualQuantizer
from fmri_vqtok.quantizers.trellis import TrellisQuantizer
from fmri_vqtok.quantizers.vq import VectorQuantizer


def make_quantizer(
    choice: QuantizerChoice, n_codes: int, code_width: int, n_tokens: int
) -> Quantizer:
    """Make the quantizer that is chosen, before its start from data.

    Parameters
    ----------
    choice : QuantizerChoice
        Such as a tokenizer's configuration.
    n_codes : int
        K.
    code_width : int
        d.
    n_tokens : int
        N, tokens of a step.

    Raises
    ------
    InputError
        If the settings of the quantizer make another number of codes or another width.
    """
    quantizer: Quantizer
    if choice.quantizer == "vq":
        quantizer = VectorQuantizer(n_codes, code_width, **asdict(choice.vq))
    elif choice.quantizer == "fsq":
        quantizer = FiniteScalarQuantizer(**asdict(choice.fsq))
    elif choice.quantizer == "residual":
        quantizer = ResidualQuantizer(dim=code_width, **asdict(choice.residual))
    elif choice.quantizer == "trellis":
        quantizer = TrellisQuantizer(n_codes, code_width, n_tokens, **asdict(choice.trellis))
    else:
        quantizer = make_external(choice.external.name, choice.external.options, code_width)
    for key, asked, made in (
        ("n_codes", n_codes, quantizer.n_codes),
        ("code_width", code_width, quantizer.dim),
    ):
        if made != asked:
            raise InputError(
                f"{key}: {asked}, but the settings of '{choice.quantizer}' make {made}; "
                f"give {key} {made}, or other settings of the quantizer"
            )
    return quantizer
