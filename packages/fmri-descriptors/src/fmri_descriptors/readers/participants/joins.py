"""Which line of a table belongs to which recording."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fmri_descriptors.readers.base import Recording
from fmri_descriptors.readers.participants.subjects import SESSION, SUBJECT, label_key
from fmri_descriptors.readers.selection.bids_names import DERIVED, OF_REGIONS, parse_name

Entities = Mapping[str, str]
"""By BIDS entity, a label or its key, such as ``{"sub": "4", "run": "2"}``."""

RUN_ENTITIES = ("task", "acq", "ce", "rec", "dir", "run")
"""BIDS entities that tell runs of one visit apart."""

# Entities that say how a file was made or cut up, not which recording it is of.
_MADE = frozenset({*DERIVED, *OF_REGIONS, "echo", "part", "proc", "mod", "recording", "split"})


@dataclass(frozen=True)
class Line:
    """One line of a table, and which recordings it is of.

    Parameters
    ----------
    place : int
        Its place among the lines that count, from 0.
    number : int
        Its number in the file.
    spelt : str
        What it is of, as the table spells it.
    entities : mapping of str to str
        What it says of who, when and which run; an absent entity is any.
    names : tuple of str
        Names of files or scans that it is of, where it names them.
    whole : bool
        Whether it is of one file, so that an entity that it lacks the recording must lack too.
    """

    place: int
    number: int
    spelt: str
    entities: Entities
    names: tuple[str, ...] = ()
    whole: bool = False

    def fits(self, entities: Entities) -> bool:
        """Whether nothing that the line says differs from the recording."""
        agrees = all(entities.get(key) in (None, value) for key, value in self.entities.items())
        return agrees and not (self.whole and entities.keys() - self.entities.keys())

    def is_exactly(self, entities: Entities) -> bool:
        """Whether the recording says all that the line does."""
        return all(entities.get(key) == value for key, value in self.entities.items())


def named_entities(name: str) -> dict[str, str]:
    """Return the entities of a file's or scan's BIDS name that identify its recording.

    Empty if it is no BIDS name with a subject.
    """
    parts = parse_name(name.rsplit("/", 1)[-1])
    if parts is None or SUBJECT not in parts.entities:
        return {}
    return entity_keys(parts.entities)


def entity_keys(entities: Entities) -> dict[str, str]:
    """Return the keys of those labels that tell which recording something is of."""
    return {key: label_key(label, key) for key, label in entities.items() if key not in _MADE}


def recording_entities(recording: Recording) -> dict[str, str]:
    """Return what is known of who, when and which run, by BIDS entity."""
    named = named_entities(recording.scan_id) or named_entities(recording.name)
    known = {**named, SUBJECT: label_key(recording.subject)}
    if recording.session is not None:
        known[SESSION] = label_key(recording.session, SESSION)
    return known


class Lines:
    """Lines of a table, found by whose they are.

    Parameters
    ----------
    lines : sequence of Line
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self._by_subject: dict[str, list[Line]] = {}
        self._by_name: dict[str, list[Line]] = {}
        for line in lines:
            if SUBJECT in line.entities:
                self._by_subject.setdefault(line.entities[SUBJECT], []).append(line)
            for name in line.names:
                self._by_name.setdefault(name, []).append(line)

    def has_subject(self, recording: Recording) -> bool:
        """Whether any line is of the recording's subject."""
        return label_key(recording.subject) in self._by_subject

    def of(self, recording: Recording) -> list[Line]:
        """Return the lines that are of a recording; several if they cannot be distinguished.

        A line that names the recording, or says no more than is known of it, goes before one
        that says more; of these, the ones that say most.
        """
        named = next((self._by_name[n] for n in _names(recording) if n in self._by_name), None)
        if named is not None:
            return named
        entities = recording_entities(recording)
        about = self._by_subject.get(entities[SUBJECT], ())
        fitting = [line for line in about if line.fits(entities)]
        exact = [line for line in fitting if line.is_exactly(entities)]
        most = max((len(line.entities) for line in exact), default=0)
        return [line for line in exact if len(line.entities) == most] or fitting


def _names(recording: Recording) -> Iterable[str]:
    yield recording.scan_id
    yield recording.name
    yield recording.name.rsplit("/", 1)[-1]
