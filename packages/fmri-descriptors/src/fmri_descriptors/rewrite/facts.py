"""What a caption states, as facts that can be compared whatever the wording around them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fmri_descriptors.rewrite.tokens import EVERYWHERE, Token, tokens


class UnreadableError(ValueError):
    """A clause that can be understood in more than one way."""


@dataclass(frozen=True)
class Fact:
    """One thing that a caption states.

    Parameters
    ----------
    quantity : frozenset of str
        What is spoken of.
    direction : str or None
        Where it stands next to the cohort, or ``"highest"``, ``"lowest"``, ``"unknown"``.
    networks : frozenset of str
        Where it was measured; empty for the whole brain.
    kind : str
        ``"number"``, ``"z"``, ``"count"``, ``"network"`` (named without a number) or
        ``"statement"`` (neither number nor network).
    text : str
        The number as it is printed.
    """

    quantity: frozenset[str]
    direction: str | None
    networks: frozenset[str]
    kind: str
    text: str = ""


@dataclass
class _Clause:
    tokens: list[Token] = field(default_factory=list)
    is_contrast: bool = False

    def of(self, *kinds: str) -> list[Token]:
        return [token for token in self.tokens if token.kind in kinds]

    @property
    def has_content(self) -> bool:
        return bool(self.of("network", "number", "z", "count"))

    @property
    def direction(self) -> str | None:
        found = {token.text for token in self.of("direction")}
        if len(found) > 1:
            raise UnreadableError(f"one clause says {' and '.join(sorted(found))}")
        return next(iter(found), None)

    @property
    def direction_comes_last(self) -> bool:
        for token in self.tokens:
            if token.kind == "direction":
                return False
            if token.kind in {"network", "number", "z", "count"}:
                return True
        return False


@dataclass(frozen=True)
class Reading:
    """What a text states and says.

    Parameters
    ----------
    facts : Counter of Fact
        How often each fact is stated.
    words : Counter of str
        All other words, in small letters.
    units : frozenset of str
        Units that it names.
    """

    facts: Counter[Fact]
    words: Counter[str]
    units: frozenset[str] = frozenset()


def read_facts(text: str, networks: Sequence[str]) -> Reading:
    """Return what a caption states.

    A number belongs to the networks named since the number before it, and to the quantity and
    direction of its clause. A clause without a quantity speaks of the one before; places that
    open a sentence, with neither quantity nor direction, belong to the clause behind them.

    Parameters
    ----------
    text : str
        A caption.
    networks : sequence of str
        Names that the parcellation gives its networks.

    Raises
    ------
    UnreadableError
        If a clause names several directions, or one might belong to either neighbour.
    """
    sequence = list(tokens(text, networks))
    facts: Counter[Fact] = Counter()
    quantity: frozenset[str] = frozenset()
    for sentence in _sentences(sequence):
        quantity = _opening_quantity(sentence) or quantity
        for clause, direction in zip(sentence, _directions(sentence), strict=True):
            quantity = _quantity(clause) or quantity
            facts.update(_clause_facts(clause, quantity, direction))
    return Reading(
        facts,
        Counter(token.text for token in sequence if token.kind == "word"),
        frozenset(token.text for token in sequence if token.kind == "unit"),
    )


def _sentences(sequence: Sequence[Token]) -> Iterator[list[_Clause]]:
    sentence = [_Clause()]
    for token in sequence:
        if token.kind == "end":
            yield sentence
            sentence = [_Clause()]
        elif token.kind in {"break", "contrast"}:
            sentence.append(_Clause(is_contrast=token.kind == "contrast"))
        else:
            sentence[-1].tokens.append(token)
    yield sentence


def _directions(sentence: Sequence[_Clause]) -> list[str | None]:
    """Direction of each clause; one without its own has that of a neighbour."""
    own = [clause.direction for clause in sentence]
    return [
        direction or _borrowed(sentence, own, i) if clause.has_content else direction
        for i, (clause, direction) in enumerate(zip(sentence, own, strict=True))
    ]


def _borrowed(sentence: Sequence[_Clause], own: Sequence[str | None], i: int) -> str | None:
    if sentence[i].is_contrast:
        # "In every system but Visual" says of Visual what it does not say.
        raise UnreadableError("a contrast does not say to what")
    before = next((direction for direction in reversed(own[:i]) if direction), None)
    later = [j for j in range(i + 1, len(own)) if own[j]]
    after = own[later[0]] if later else None
    if before and after and before != after and sentence[later[0]].direction_comes_last:
        raise UnreadableError(f"a clause may say {before} or {after}")
    return before or after


def _opening_quantity(sentence: Sequence[_Clause]) -> frozenset[str]:
    """Quantity of "In A (0.1) and B (0.2), it ...": places that say neither what nor where to."""
    for clause in sentence:
        if _quantity(clause) or clause.of("direction"):
            return _quantity(clause)
    return frozenset()


def _quantity(clause: _Clause) -> frozenset[str]:
    particular = frozenset(token.text for token in clause.of("quantity"))
    return particular or frozenset(token.text for token in clause.of("general"))


def _clause_facts(
    clause: _Clause, quantity: frozenset[str], direction: str | None
) -> Iterator[Fact]:
    if not clause.has_content:
        if clause.of("direction"):
            yield Fact(quantity, direction, frozenset(), "statement")
        return
    for networks, kind, text in _places(clause):
        yield Fact(quantity, direction, networks, kind, text)


def _places(clause: _Clause) -> Iterator[tuple[frozenset[str], str, str]]:
    """Networks, kind and text of each number, and each network that has no number."""
    recent: list[str] = []  # named since the last number or direction
    earlier: list[str] = []  # named before the direction, since the last number
    place: frozenset[str] = frozenset()
    for token in clause.tokens:
        if token.kind == "network" and token.text == EVERYWHERE:
            yield frozenset([EVERYWHERE]), "network", ""
        elif token.kind == "network":
            recent.append(token.text)
        elif token.kind == "direction":
            earlier, recent = earlier + recent, []
        elif token.kind == "count":
            yield frozenset(), "count", token.text
        elif token.kind in {"number", "z"}:
            if recent:
                yield from _without_number(earlier)
                place, recent, earlier = frozenset(recent), [], []
            elif earlier:
                place, earlier = frozenset(earlier), []
            yield place, token.kind, token.text
    yield from _without_number(earlier + recent)


def _without_number(names: Sequence[str]) -> Iterator[tuple[frozenset[str], str, str]]:
    for name in names:
        yield frozenset([name]), "network", ""
