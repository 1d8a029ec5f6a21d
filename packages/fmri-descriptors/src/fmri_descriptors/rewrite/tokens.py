"""Text cut into what a statement is made of: quantities, directions, networks and numbers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fmri_descriptors.text.wording import LEVEL_WORDS, plain_name

EVERYWHERE = "every system"
"""The network that ``in every network`` and ``for all pairs`` stand for."""

_RANGE = " the typical range"
_OTHER_DIRECTIONS = {
    "highest": r"(?:highest|strongest|largest|greatest)|comes?\s+first",
    "lowest": r"(?:lowest|weakest|smallest|least)|comes?\s+last",
    "outside": r"outside\s+(?:the|its|their)\s+(?:typical\s+)?range",
    "unknown": r"not\s+(?:comparable|available)|(?:cannot|can\s+not)\s+be\s+compared",
}

# What distinguishes the 23 descriptors. Words of one key mean the same quantity.
_QUANTITIES = {
    "principal": r"principal|first(?=\s+gradient)",
    "second": r"second",
    "third": r"third",
    "range": r"ranges?",
    "variance": r"variance",
    "amplitude": r"amplitude",
    "variability": r"variability",
    "spectral ratio": r"spectral\s+ratio(?:\s+of\s+slow\s+to\s+fast\s+power)?"
    r"|slow\s+(?:to|over)\s+fast\s+power",
    "falff": r"falff|(?:fractional\s+)?alff|fractional\s+amplitude|slow\s+fluctuations",
    "strength": r"strength",
    "modularity": r"modularity",
    "efficiency": r"efficiency",
    "clustering": r"clustering|cluster",
    "overall": r"overall|averaged\s+over\s+the\s+(?:networks|systems)|as\s+a\s+whole",
    "fnc": r"functional\s+network\s+connectivity|fnc|coupling\s+of\s+(?:the\s+)?components",
}
_GENERAL = {
    "connectivity": r"connectivity|coupling|correlation",
    "gradient": r"gradients?",
}
"""Words of whole domains; they count where a clause has none of the particular ones."""

_UNITS = {
    "squared diffusion units": r"squared\s+diffusion\s+units",
    "diffusion units": r"diffusion\s+units",
    "units of the recording": r"units\s+of\s+the\s+recording",
    "mean Fisher z": r"mean\s+fisher[\s-]+z",
    "Fisher z": r"fisher[\s-]+z",
    "sum of r": r"sum\s+of\s+r",
    "coefficient of variation": r"coefficient\s+of\s+variation",
}

_TABLES = {"quantity": _QUANTITIES, "general": _GENERAL, "unit": _UNITS}

_TEENS = (
    "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|"
    "forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million"
)
_COUNT_WORD = rf"(?:two|three|four|five|six|seven|eight|nine|{_TEENS})"
_COUNTED = rf"{_COUNT_WORD}(?:[\s-]+(?:and\s+)?(?:one|{_COUNT_WORD}))*"
_ONE_OF_MANY = (
    r"(?:one|another)(?=\s+(?:more|other|further|pairs?|connections?|systems?|networks?)\b)"
)


@dataclass(frozen=True)
class Token:
    """A piece of text that carries meaning, or a plain word.

    Parameters
    ----------
    kind : str
        ``"direction"``, ``"quantity"``, ``"general"``, ``"unit"``, ``"network"``, ``"z"``,
        ``"number"``, ``"count"``, ``"end"`` (of a sentence), ``"break"`` or ``"contrast"``
        (between clauses), or ``"word"``.
    text : str
        What it says, in one spelling.
    """

    kind: str
    text: str


def tokens(text: str, networks: Sequence[str]) -> Iterator[Token]:
    """Give the tokens of a text in order.

    Parameters
    ----------
    text : str
        A caption.
    networks : sequence of str
        Names that the parcellation gives its networks.
    """
    for found in _pattern(tuple(networks)).finditer(text):
        yield _token(found, text[max(0, found.start() - 16) : found.start()])


def _token(found: re.Match[str], before: str) -> Token:
    kind, text = str(found.lastgroup), " ".join(found[0].lower().split())
    if kind == "direction":
        return Token(kind, _direction(text))
    if kind in _TABLES:
        return Token(kind, _canonical(text, _TABLES[kind]))
    if kind == "everywhere":
        return Token("network", EVERYWHERE)
    if kind == "respelt":
        return Token("network", text)
    if kind == "number":
        return _number(found[0], before)
    return Token("count" if kind == "counted" else kind, text)


def _number(text: str, before: str) -> Token:
    if text.isdigit():
        return Token("count", text)
    return Token("z" if _Z_LABEL.search(before) else "number", text)


_Z_LABEL = re.compile(r"\bz\b[\s=:,-]*(?:scores?|values?)?[\s=:,(]*(?:of|is|at|was)?\s*\(?$", re.I)


def _direction(text: str) -> str:
    for name, pattern in _OTHER_DIRECTIONS.items():
        if re.fullmatch(pattern, text):
            return name
    return re.sub(r"\s+(?:the|its|their|this|that|a)\b.*$", "", text)


def _canonical(text: str, table: dict[str, str]) -> str:
    return next(name for name, form in table.items() if re.fullmatch(form, text))


def _level_pattern() -> str:
    heads = sorted((words.removesuffix(_RANGE) for words in LEVEL_WORDS), key=len, reverse=True)
    # "within the Range network" is a place too.
    range_ = r"\s+(?:the|its|their|this|that|a)\s+(?:typical\s+)?range(?!\s+networks?\b)"
    parts = []
    for head in heads:
        words = head.replace(" ", r"\s+")
        # "within Parietal" is a place; only "within the range" is a direction.
        parts.append(
            rf"(?:well\s+)?{words}{range_}" if head == "within" else rf"{words}(?:{range_})?"
        )
    return "|".join(parts)


@lru_cache(maxsize=8)
def _pattern(networks: tuple[str, ...]) -> re.Pattern[str]:
    plain = sorted({plain_name(name) for name in networks} - {""}, key=len, reverse=True)
    # A name begins and ends like a word, and is not the digits of a number.
    names = rf"(?<![\w.-])(?:{'|'.join(map(re.escape, plain))})(?![\w-]|\.\d)" if plain else r"(?!)"
    other = "|".join(_OTHER_DIRECTIONS.values())
    kinds = {
        "network": rf"(?-i:{names})",  # as it is spelt, a name goes before any word like it
        "end": r"[.!?]+(?=[\s\"')\]]|$)|\n+",
        "contrast": r"\b(?:while|whereas|but|although|though|however|yet)\b"
        r"|\b(?:in\s+contrast|compared|relative)\s+(?:to|with)\b",
        "break": r";|,\s+and\b|(?<=\))\s*and\b",
        "direction": rf"\b(?:{_level_pattern()}|{other})\b",
        "unit": rf"\b(?:{'|'.join(_UNITS.values())})\b",
        "quantity": rf"\b(?:{'|'.join(_QUANTITIES.values())})\b",
        "everywhere": (
            r"\b(?:every|each|all)\b"
            r"(?:\s+(?:of|the|brain|pairs?|connections?|systems?|networks?)\b)*"
        ),
        "respelt": names,
        "general": rf"\b(?:{'|'.join(_GENERAL.values())})\b",
        "number": r"(?<!\w)[-+]?\.?\w*\d\w*(?:[.,]\w+)*%?",
        "counted": rf"\b(?:{_COUNTED}|{_ONE_OF_MANY})\b",
        "word": r"[^\W\d_]+(?:['’][^\W\d_]+)*|[%<>≤≥±~≈×→↑↓]",
    }
    return re.compile("|".join(f"(?P<{kind}>{part})" for kind, part in kinds.items()), re.I)
