"""YAML as people mean it in settings: bounded, strict, and without guessing at words or dates.

The scalars are those of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema) less
its numbers with leading zeros: only `true` and `false` are truth values, `yes`, `on`, `2020-01-31`,
`12:30` and `007` are text, and a key of a mapping is the text that was written. Tags are refused
(but for `!!str`), as are keys given twice and whatever does not end: cycles, and aliases of aliases
that multiply.

The packages that read YAML do not import each other, so each has this file; a test keeps the copies
equal.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

LARGEST = 1 << 20
"""Bytes of text that are read."""

DEEPEST = 32
"""Collections inside each other."""

MOST_VALUES = 100_000
"""Values of a document, those that aliases repeat counted each time."""

_LONGEST_SHOWN = 60  # characters of what was written that a message repeats
_MERGE = "<<"
# What is no printable character in YAML, https://yaml.org/spec/1.2.2/#51-character-set.
_NO_TEXT = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")  # JSON escapes one character as two
_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")
_TEXT_TAGS = {"!", "tag:yaml.org,2002:str"}
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LARGEST_INTEGER = 1 << 63
_PREFIXED = {"0o": 8, "0x": 16}


class YamlError(ValueError):
    """A document that is refused; the message is one line with the line number."""


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Parameters
    ----------
    path
        A file in UTF-8.

    Raises
    ------
    YamlError
        If the file is too large or no UTF-8, or `parse_yaml` refuses its text.
    OSError
        If it cannot be read at all.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    try:
        return parse_yaml(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        if len(content) > LARGEST:
            raise _too_large() from error
        line = content[: error.start].count(b"\n") + 1
        raise YamlError(f"not UTF-8 text, line {line}") from error


def parse_yaml(text: str) -> Any:
    """Return what a YAML document holds: None, truth values, numbers, text, lists and dicts.

    Parameters
    ----------
    text
        One document.

    Raises
    ------
    YamlError
        If it is no YAML, more than one document, too large or too deep, has a key twice, a tag, a
        cycle, aliases that multiply, or a number that no double or 64-bit integer holds.
    """
    import yaml

    if len(text) > LARGEST:
        raise _too_large()
    if (wrong := _NO_TEXT.search(text)) is not None:
        line = text[: wrong.start()].count("\n") + 1
        raise YamlError(f"the character U+{ord(wrong.group()):04X} is not allowed, line {line}")
    parser = yaml.SafeLoader(text)
    try:
        return _Document(parser.get_event).value()
    except yaml.MarkedYAMLError as error:
        raise YamlError(_with_line(error.problem or error.context or "", error)) from error
    except OverflowError as error:
        # The scanner makes a character of an escape such as \UFFFFFFFF before it looks at it.
        raise YamlError(f"an escape of no character, line {parser.line + 1}") from error


class _Document:
    """Values of one document, made from the parser's events."""

    def __init__(self, next_event: Callable[[], Any]) -> None:
        self._next = next_event
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: set[str] = set()
        self._count = 0

    def value(self) -> Any:
        import yaml

        event = self._next()
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        value = self._node(event, 0)
        self._next()  # the end of the document
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            raise _fault("a second document begins; write one", after)
        return value

    def _node(self, event: Any, depth: int) -> Any:
        import yaml

        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._count
        self._counted(1, event)
        if event.anchor is not None:
            if event.anchor in self._anchors or event.anchor in self._open:
                raise _fault(f"anchor '{_shown(event.anchor)}' is given twice", event)
            self._open.add(event.anchor)
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif depth >= DEEPEST:
            raise _fault(f"nested deeper than {DEEPEST} levels", event)
        else:
            value = self._collection(event, depth)
        if event.anchor is not None:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = (value, self._count - before)
        return value

    def _alias(self, event: Any) -> Any:
        if event.anchor in self._open:
            raise _fault(f"alias '{_shown(event.anchor)}' stands inside what it repeats", event)
        if event.anchor not in self._anchors:
            raise _fault(f"alias '{_shown(event.anchor)}' repeats nothing", event)
        value, size = self._anchors[event.anchor]
        self._counted(size, event)
        return value

    def _collection(self, event: Any, depth: int) -> Any:
        import yaml

        if event.tag is not None and event.tag != "!":
            raise _fault(f"tag {_shown(event.tag)}; write the value without a tag", event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(depth)
        values = []
        while not isinstance(item := self._next(), yaml.SequenceEndEvent):
            values.append(self._node(item, depth + 1))
        return values

    def _mapping(self, depth: int) -> dict[str, Any]:
        import yaml

        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(key := self._next(), yaml.MappingEndEvent):
            name = self._key(key)
            value = self._node(self._next(), depth + 1)
            if name == _MERGE and key.implicit[0]:
                merged = {**_merged(value, key), **merged}
            elif name in own:
                raise _fault(f"key '{_shown(name)}' is given twice", key)
            else:
                own[name] = value
        return {**merged, **own}

    def _key(self, event: Any) -> str:
        import yaml

        if not isinstance(event, yaml.ScalarEvent):
            raise _fault("a key has to be text", event)
        self._node(event, 0)  # for its tag and anchor
        return _text(event)

    def _counted(self, size: int, event: Any) -> None:
        self._count += size
        if self._count > MOST_VALUES:
            raise _fault(f"more than {MOST_VALUES:,} values, with those that aliases repeat", event)


def _scalar(event: Any) -> Any:
    text = _text(event)
    if event.tag is not None:
        if event.tag not in _TEXT_TAGS:
            raise _fault(f"tag {_shown(event.tag)}; write the value without a tag", event)
        return text
    return _plain(event) if event.implicit[0] else text


def _text(event: Any) -> str:
    """Text of a scalar, pairs of surrogates joined."""
    text = _PAIR.sub(
        lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), event.value
    )
    if _NO_CHARACTER.search(text):
        raise _fault("an escape of no character", event)
    return text


def _plain(event: Any) -> Any:
    """Value of a scalar without quotes and tag."""
    text: str = event.value
    if _NULL.fullmatch(text):
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    if _INTEGER.fullmatch(text):
        return _integer(text, event)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise _fault(f"number {_shown(text)} is too large", event)
        return number
    return float(text.replace(".", "")) if _NOT_FINITE.fullmatch(text) else text


def _integer(text: str, event: Any) -> int:
    base = _PREFIXED.get(text[:2], 10)
    # Digits are counted first: Python refuses to convert thousands of them.
    if len(text) < 30 and abs(number := int(text, base)) < _LARGEST_INTEGER:
        return number
    raise _fault(f"number {_shown(text)} is too large; put it in quotes if it is a name", event)


def _merged(value: Any, event: Any) -> dict[str, Any]:
    """Entries that `<<` brings in; the first of several mappings goes before the later ones."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in values):
        raise _fault("'<<' needs an alias of a mapping, or a list of them", event)
    return {key: item[key] for item in reversed(values) for key in item}


def _fault(problem: str, event: Any) -> YamlError:
    return YamlError(f"{problem}, line {event.start_mark.line + 1}")


def _with_line(problem: str, error: Any) -> str:
    mark = error.problem_mark or error.context_mark
    return f"{_shown(problem)}, line {mark.line + 1}" if mark is not None else _shown(problem)


def _too_large() -> YamlError:
    return YamlError(f"longer than {LARGEST:,} bytes")


def _shown(text: str) -> str:
    """Begin of what was written, printable and on one line."""
    line = " ".join(text.split())
    line = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line
    )
    return line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}…"
