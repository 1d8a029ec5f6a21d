"""How text is chosen from the probabilities of a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Le

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.validation import Count, NonNegative, check_fields

__all__ = ["Decoding"]


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Greedy search by default; sampling above temperature 0; beam search with several beams.

    Attributes
    ----------
    max_new_tokens : int
        Most tokens of a text.
    temperature : float
        Logits are divided by it before a token is drawn; at 0 the most likely one is taken.
    top_p : float
        Tokens are drawn from the smallest set whose probabilities add up to it (nucleus sampling).
    num_beams : int
        Texts that beam search keeps at each step.
    length_penalty : float
        Beam search ranks finished texts by their log-likelihood over their length to this power.

    Raises
    ------
    InputError
        If a value is out of range, or two of them ask for different searches.

    References
    ----------
    Holtzman et al. (2020), "The curious case of neural text degeneration", for nucleus sampling.
    """

    max_new_tokens: Count = 128
    temperature: NonNegative = 0.0
    top_p: Annotated[float, Gt(0), Le(1)] = 1.0
    num_beams: Count = 1
    length_penalty: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.num_beams > 1 and self.temperature > 0:
            raise InputError(
                f"num_beams: {self.num_beams} with temperature {self.temperature:g}; give a "
                "temperature to sample, or several beams to search, not both"
            )
        if self.top_p < 1 and self.temperature == 0:
            raise InputError(
                f"top_p: {self.top_p:g}, but at temperature 0 nothing is drawn; give a temperature "
                "above 0, such as 1"
            )
