"""Directions that a caption states: which measures it puts above or below the typical range.

Read in the words of the captions that `fmri describe` writes, which a trained model writes too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from fmri_vqtok.formats.captions import split_sentences

__all__ = ["read_directions"]

_DIRECTION = re.compile(r"\b(above|below|within) the typical range\b", re.IGNORECASE)

_ORDINALS = (("principal", 1), ("first", 1), ("second", 2), ("third", 3))

_MEASURES = (
    (r"fractional a|falff", "ica.falff.", None),
    (r"functional network connectivity|coupling of", "ica.fnc.", None),
    (r"slow to fast|spectral ratio", "ica.spectral_ratio.", "ica.overall_spectral_ratio"),
    (r"variability", "ica.variability.", "ica.overall_variability"),
    (r"amplitude", "ica.amplitude.", "ica.overall_amplitude"),
    (r"modularity", None, "graph.modularity"),
    (r"global efficiency", None, "graph.global_efficiency"),
    (r"cluster", None, "graph.mean_clustering"),
    (r"strength", "graph.network_strength.", None),
    (r"connectivity", "fc.", None),
)
"""Words of a sentence, and the columns that it is then about: of networks, and of the whole scan.
The first that fits counts."""


def read_directions(
    text: str, columns: Collection[str], networks: Sequence[str]
) -> list[tuple[str, int]]:
    """Measures that a text puts above or below the typical range.

    Parameters
    ----------
    text : str
        A caption.
    columns : collection of str
        Measures that there are; others are passed over.
    networks : sequence of str
        Names of the networks.

    Returns
    -------
    list of (str, int)
        Column, and 1 for above or -1 for below, as often as it is said. Sentences that say
        "within", or two different directions, state none.

    Examples
    --------
    >>> read_directions(
    ...     "Fractional ALFF is well below the typical range in the Visual network (0.3, z -2.1).",
    ...     ["ica.falff.Visual", "ica.falff.Limbic"],
    ...     ["Visual", "Limbic"],
    ... )
    [('ica.falff.Visual', -1)]
    """
    found = []
    for sentence in split_sentences(text):
        said = {word.lower() for word in _DIRECTION.findall(sentence)}
        if said in ({"above"}, {"below"}):
            sign = 1 if said == {"above"} else -1
            named = _columns(sentence, networks)
            found += [(column, sign) for column in named if column in columns]
    return found


def _columns(sentence: str, networks: Sequence[str]) -> Iterator[str]:
    """Columns of the measures that a sentence may be about; a pair has two."""
    of_network, whole = _stems(sentence.lower())
    name = "|".join(map(re.escape, sorted(networks, key=len, reverse=True)))
    if of_network in ("fc.", "ica.fnc."):
        pair = rf"\bbetween the ({name}) and ({name}) networks|\bwithin the ({name}) network\b"
        for first, second, own in re.findall(pair, sentence, re.IGNORECASE):
            yield f"{of_network}{first or own}-{second or own}"
            if first:
                yield f"{of_network}{second}-{first}"
        return
    places = re.findall(rf"\b({name})\b", sentence) if networks else []
    if places and of_network:
        yield from (f"{of_network}{place}" for place in places)
    elif whole:
        yield whole


def _stems(sentence: str) -> tuple[str | None, str | None]:
    """Beginning of the columns of networks, and the column of the whole scan."""
    if "gradient" in sentence:
        number = next((k for word, k in _ORDINALS if f"{word} gradient" in sentence), 0)
        whole = next((word for word in ("range", "variance") if f"{word} of" in sentence), None)
        return (None, f"gradient{number}.{whole}") if whole else (f"gradient{number}.", None)
    for words, of_network, of_scan in _MEASURES:
        if re.search(words, sentence):
            return of_network, of_scan
    return None, None
