"""Values and z-scores to sentences, and sentences to captions, through the templates."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmri_descriptors.registry import DESCRIPTORS, DescriptorRow
from fmri_descriptors.text.sentences import Sentence
from fmri_descriptors.text.tally import Reference, Tally
from fmri_descriptors.text.templating import Templates, package_templates
from fmri_descriptors.text.values import (
    FeatureValue,
    Missing,
    group_by_word,
    known_first,
    short_groups,
)
from fmri_descriptors.text.wording import TYPICAL, UNKNOWN, capitalised, direction, listing


def variant(seed: int, scan_id: str, name: str) -> int:
    """Return the number by which a descriptor's wordings are chosen.

    It depends on nothing but the run's seed, the scan and the descriptor, so that adding a scan
    changes no other scan's text.
    """
    digest = hashlib.sha256(f"{seed}\n{scan_id}\n{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def render_descriptor(
    row: DescriptorRow,
    values: Sequence[FeatureValue],
    phrasing: int = 0,
    templates: Templates | None = None,
    *,
    negative_edges: str = "drop",
    short: bool = False,
) -> list[str]:
    """Write the sentences of one descriptor.

    Its own template writes about the values that the cohort can judge; what is missing or cannot
    be compared is written by the template ``unavailable``.

    Parameters
    ----------
    row : DescriptorRow
        The descriptor.
    values : sequence of FeatureValue
        What it says; for patterns, what `select_patterns` returned.
    phrasing : int
        Which phrasing of the template; counted around if there are fewer.
    templates : Templates, optional
        The package's own if not given.
    negative_edges : str
        The setting of that name, which says what the graph measures are about.
    short : bool
        Whether to write of the most unusual values in each direction alone.

    Returns
    -------
    list of str
        Sentences, the most telling first, as the templates wrote them: words may be put before
        one that begins with a small letter.

    Raises
    ------
    InputError
        If a template fails.
    """
    templates = templates or package_templates()
    about = {
        "noun": row.noun,
        "noun_with_unit": row.noun_with_unit,
        "unit": row.unit,
        "ordinal": row.ordinal,
        "several": False,
        "edges": EDGES[negative_edges],
        "other_edges": "" if negative_edges == "drop" else f" over {EDGES[negative_edges]}",
    }
    content = _patterns(values, short) if row.kind == "patterns" else _judged(row, values, short)
    sentences = templates.render(row.name, phrasing, about | content) if content else []
    if row.kind == "patterns" and sentences:
        return sentences
    unavailable = _unavailable(values)
    if not values or any(unavailable.values()):
        sentences += templates.render("unavailable", phrasing, about | unavailable)
    return sentences


def common_gap(values: Sequence[FeatureValue]) -> Missing | None:
    """Return the networks that a descriptor lacks, if its last sentence names them and no more."""
    found = _unavailable(values)
    if found["unjudged"] or len(found["missing"]) != 1:
        return None
    (missing,) = found["missing"]
    return None if missing.everywhere or len(missing.values[0].networks) != 1 else missing


def render_gap(
    rows: Sequence[DescriptorRow], missing: Missing, templates: Templates | None = None
) -> str:
    """Write in one sentence that several descriptors lack the same networks."""
    content = {
        "noun": listing([row.noun for row in rows]),
        "noun_with_unit": listing([row.noun for row in rows]),
        "unit": "",
        "ordinal": "",
        "edges": "",
        "other_edges": "",
        "several": True,
        "missing": [missing],
        "unjudged": [],
    }
    templates = templates or package_templates()
    return " ".join(templates.render("unavailable", 0, content))


EDGES = {
    "drop": "positive connections",
    "absolute": "connections of either sign, taken as positive",
    "negative_sym": "positive less negative connections",
    "negative_asym": "positive less down-weighted negative connections",
}
"""What the graph measures are about, by the setting ``negative_edges``."""


def _judged(row: DescriptorRow, values: Sequence[FeatureValue], short: bool) -> dict[str, Any]:
    known = known_first(values)
    if not known:
        return {}
    groups = group_by_word(values)
    content = {"values": known, "groups": short_groups(groups) if short else groups}
    return content | ({"item": known[0]} if row.kind == "value" else {})


def _patterns(values: Sequence[FeatureValue], short: bool) -> dict[str, Any]:
    if not values:
        return {}
    n_high = (len(values) + 1) // 2
    groups = group_by_word(values)
    all_typical = all(value.level_word == TYPICAL for value in values)
    return {
        "high": values[:n_high],
        "low": values[n_high:],
        "unusual": [] if short else [group for group in groups if group.word != TYPICAL],
        "all_typical": all_typical and not short,
    }


def _unavailable(values: Sequence[FeatureValue]) -> dict[str, list[Any]]:
    """Values that are missing, by reason, and those that the cohort cannot judge."""
    missing: dict[str, list[FeatureValue]] = {}
    for value in values:
        if math.isnan(value.value):
            missing.setdefault(value.reason, []).append(value)
    unjudged = [v for v in values if v.level_word == UNKNOWN and not math.isnan(v.value)]
    return {
        "missing": [
            Missing(tuple(group), reason, len(group) == len(values))
            for reason, group in missing.items()
        ],
        "unjudged": unjudged,
    }


@dataclass(frozen=True)
class Part:
    """What a caption says of one descriptor, and how that relates to the one before.

    Parameters
    ----------
    text : str
        Its sentences, one a line.
    discourse_relation : str
        ``"first"`` in its paragraph, ``"same"`` direction as the one before, ``"opposite"``, or
        ``"other"``.
    joins : bool
        Whether words may be put before it.
    """

    text: str
    discourse_relation: str
    joins: bool

    def join(self, words: str) -> str:
        """Return the text behind some words, or alone where these are empty or cannot join."""
        if not (words and self.joins):
            return self.text
        return capitalised(f"{words}, {self.text[:1].lower()}{self.text[1:]}")


def most_unusual_direction(values: Sequence[FeatureValue]) -> int | None:
    """Return the direction of the most unusual value: 1, 0 or -1; None if none can be judged."""
    known = known_first(values)
    return direction(known[0].level_word) if known else None


def discourse_relation(before: int | None, now: int | None) -> str:
    """Return how two directions relate: ``"same"``, ``"opposite"`` or ``"other"``."""
    if before is None or now is None:
        return "other"
    if before == now:
        return "same"
    return "opposite" if before * now < 0 else "other"


def render_paragraph(
    domain: str,
    parts: Sequence[Part],
    phrasing: int,
    templates: Templates | None = None,
    tally: Tally | None = None,
) -> list[Sentence]:
    """Write the sentences of one domain's paragraph of a caption.

    Parameters
    ----------
    domain : str
        The domain.
    parts : sequence of Part
        What it says, in order.
    phrasing : int
        Number by which its opening and connecting words are chosen.
    templates : Templates, optional
        The package's own if not given.
    tally : Tally, optional
        How many of the domain's values lie outside the typical range; left out if not given.
    """
    content = {"domain": domain, "parts": list(parts), "variant": phrasing, "tally": tally}
    templates = templates or package_templates()
    lines = templates.render("caption", phrasing, content)
    return [Sentence.of(capitalised(line)) for line in lines]


def load_templates(directory: Path | None) -> Templates:
    """Return templates after a trial of every phrasing of the user's own.

    Parameters
    ----------
    directory : Path or None
        The user's folder; None for the package's own.

    Raises
    ------
    InputError
        If a file has a fault, with its name and line: before any scan is measured rather than
        after.
    """
    if directory is None:
        return package_templates()
    templates = Templates(directory)
    names = {path.stem for path in templates.overrides}
    for row in DESCRIPTORS:
        if names & {row.name, row.shared_template, "unavailable", "macros"}:
            for values in _samples(row):
                for phrasing in range(templates.n_phrasings(row.name)):
                    render_descriptor(row, values, phrasing, templates)
    if names & {"caption", "macros"}:
        parts = [Part("A text.", how, True) for how in ("first", "same", "opposite", "other")]
        for phrasing in range(templates.n_phrasings("caption")):
            for tally in (None, Tally(9, 0), Tally(9, 1), Tally(9, 4, Reference(7, of_site=True))):
                render_paragraph("FC", parts, phrasing, templates, tally)
    return templates


def _samples(row: DescriptorRow) -> list[list[FeatureValue]]:
    """Made-up values of every word, alone and together, and values that are missing."""
    locations: dict[str, list[tuple[str, ...]]] = {
        "value": [()],
        "networks": [(letter,) for letter in "ABCDEF"],
    }
    pairs: list[tuple[str, ...]] = [(a, "F") for a in "ABCDEF"]
    where = locations.get(row.kind, pairs)
    nan = math.nan
    alone = [[FeatureValue("sample", 0.5, z, p) for p in where] for z in (2.5, 1.5, 0.5, -1.5, nan)]
    zs = (2.5, 1.5, 0.5, -1.5, -2.5, nan)
    mixed = [FeatureValue("sample", 0.5, z, p) for z, p in zip(zs, where, strict=False)]
    missing = [FeatureValue("sample", nan, nan, p) for p in where]
    return [*alone, mixed, [] if row.kind == "patterns" else missing]
