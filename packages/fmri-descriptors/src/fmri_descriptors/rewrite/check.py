"""The check that every rewrite must pass: nothing of the source lost, turned round, or added."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from fmri_descriptors.rewrite.facts import Fact, Reading, UnreadableError, read_facts

NEGATIONS = frozenset(
    {"not", "no", "never", "neither", "nor", "without", "cannot", "none", "nothing", "hardly"}
)
_NUMBER_KINDS = {"number", "z", "count"}
_ENDINGS = ("", "s", "es", "d", "ed", "ing", "ly")


@dataclass(frozen=True)
class Refusal:
    """Why a rewrite is not used.

    Parameters
    ----------
    kind : str
        ``"number lost"``, ``"number added"``, ``"direction"``, ``"network"``, ``"quantity"``,
        ``"statement"``, ``"unit"``, ``"negation"``, ``"word added"``, ``"ambiguous"``,
        ``"unchanged"`` or ``"cut off"``.
    detail : str
        The number, name or word.
    """

    kind: str
    detail: str


def check_rewrite(
    source: str, rewrite: str, networks: Sequence[str], extra_words: Iterable[str] = ()
) -> Refusal | None:
    """Return why a rewrite cannot stand for its source, or None if it can.

    Both texts are read into facts: a number as printed with its quantity, its direction and its
    networks. The facts must be the same, and every other word must be in the source or in the
    package's list of neutral words, so that a rewrite has no room for a finding of its own. A
    clause that can be read in two ways is refused.

    Parameters
    ----------
    source : str
        The caption that was sent.
    rewrite : str
        What came back.
    networks : sequence of str
        Names that the parcellation gives its networks.
    extra_words : iterable of str
        Words that a rewrite may use besides the neutral ones.
    """
    try:
        original, rewritten = read_facts(source, networks), read_facts(rewrite, networks)
    except UnreadableError as error:
        return Refusal("ambiguous", str(error))
    return (
        _numbers(original, rewritten)
        or _numbered_facts(original, rewritten)
        or _other_facts(original, rewritten)
        or _units(original, rewritten)
        or _words(original, rewritten, extra_words)
    )


def _numbers(original: Reading, rewritten: Reading) -> Refusal | None:
    before, after = (
        Counter(fact.text for fact in reading.facts.elements() if fact.kind in _NUMBER_KINDS)
        for reading in (original, rewritten)
    )
    for text in before - after:
        return Refusal("number lost", text)
    for text in after - before:
        return Refusal("number added", text)
    return None


def _numbered_facts(original: Reading, rewritten: Reading) -> Refusal | None:
    lost = [fact for fact in original.facts - rewritten.facts if fact.kind in _NUMBER_KINDS]
    if not lost:
        return None
    fact = lost[0]
    others = [o for o in rewritten.facts - original.facts if o.text == fact.text]
    return _difference(fact, others)


def _difference(fact: Fact, others: Sequence[Fact]) -> Refusal:
    """Name what was changed about a number."""
    if all(other.direction != fact.direction for other in others):
        return Refusal("direction", f"{fact.text} is {fact.direction}")
    if all(other.networks != fact.networks for other in others):
        place = " with ".join(sorted(fact.networks)) or "no network"
        return Refusal("network", f"{fact.text} belongs to {place}")
    return Refusal("quantity", f"{fact.text} is {fact.kind} of {' '.join(sorted(fact.quantity))}")


def _other_facts(original: Reading, rewritten: Reading) -> Refusal | None:
    lost = [fact for fact in original.facts if fact not in rewritten.facts]
    added = [fact for fact in rewritten.facts if not _is_in_source(fact, original)]
    for fact in [*lost, *added]:
        name = " ".join([*sorted(fact.networks), fact.direction or ""]).strip()
        return Refusal("network" if fact.networks else "statement", name)
    return None


def _is_in_source(fact: Fact, original: Reading) -> bool:
    """Whether a fact is in the source, or is a network named once more with its numbers."""
    return fact in original.facts or (
        fact.kind == "network"
        and any(
            fact.networks <= known.networks
            and (fact.quantity, fact.direction) == (known.quantity, known.direction)
            for known in original.facts
        )
    )


def _units(original: Reading, rewritten: Reading) -> Refusal | None:
    changed = sorted(original.units ^ rewritten.units)
    return Refusal("unit", changed[0]) if changed else None


def _words(original: Reading, rewritten: Reading, extra_words: Iterable[str]) -> Refusal | None:
    before, after = (
        {word: n for word, n in reading.words.items() if word in NEGATIONS or "n't" in word}
        for reading in (original, rewritten)
    )
    if before != after:
        return Refusal("negation", next(iter({*before.items()} ^ {*after.items()}))[0])
    allowed = _neutral_words() | set(original.words) | {word.lower() for word in extra_words}
    for word in rewritten.words:
        if not _is_allowed(word, allowed):
            return Refusal("word added", word)
    return None


def _is_allowed(word: str, allowed: frozenset[str] | set[str]) -> bool:
    if word in allowed:
        return True
    stems = (word.removesuffix(ending) for ending in _ENDINGS if word.endswith(ending))
    return any(len(stem) > 2 and stem in allowed for stem in stems)


@lru_cache(maxsize=1)
def _neutral_words() -> frozenset[str]:
    file = resources.files("fmri_descriptors.rewrite") / "neutral_words.txt"
    return frozenset(re.findall(r"\w+", file.read_text(encoding="utf-8")))
