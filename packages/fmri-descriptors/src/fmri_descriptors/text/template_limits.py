"""A sandbox whose templates can neither run nor grow without end."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

LONGEST = 100_000
"""Characters, or items, that a value in a template may have."""

SECONDS = 5.0
"""Time that one phrasing may take, in seconds."""

_PADDING = frozenset({"center", "expandtabs", "format", "format_map", "ljust", "rjust", "zfill"})
_PADDING_FILTERS = ("center", "format", "indent", "wordwrap")


class LimitedSandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with an end to loops, to values and to time.

    Each step of a loop looks at the time since `start`. What makes a value longer (``+``, ``*``,
    ``~``) looks at its length; powers, and what pads text to any width, are unavailable.

    Raises
    ------
    SecurityError
        While a template is rendered, at its first step past a limit.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(finalize=_short, **options)
        self._deadline = float("inf")
        self.filters.update(limited_steps=self._steps, limited_join=_join)
        for name in _PADDING_FILTERS:
            del self.filters[name]
        del self.globals["lipsum"]

    def start(self) -> None:
        """Begin to count the time of a phrasing."""
        self._deadline = time.monotonic() + SECONDS

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may use an attribute."""
        return attr not in _PADDING and super().is_safe_attribute(obj, attr, value)

    def call(self, context: Any, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Return what a call gives, if it comes in time and is not too long."""
        self._require_time()
        name = getattr(called, "__name__", "")
        if name in _PADDING:
            raise SecurityError(f"{name} cannot be used in a template")
        if name == "replace":
            require_short(_length(getattr(called, "__self__", "")) * max(map(_length, args)) // 100)
        return _short(super().call(context, called, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Return the result of an operator, if it is not too long."""
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise SecurityError(f"{operator} cannot be used in a template")
        if operator == "*":
            require_short(_length(left) * right if isinstance(right, int) else 0)
            require_short(_length(right) * left if isinstance(left, int) else 0)
        result = super().call_binop(context, operator, left, right)
        require_short(_length(result))
        return result

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = _filtered(loop.iter, "limited_steps")
        for join in list(tree.find_all(nodes.Concat)):
            join.nodes = [_filtered(nodes.List(join.nodes, lineno=join.lineno), "limited_join")]
        return tree

    def _steps(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self._require_time()
            yield item

    def _require_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise SecurityError(f"runs for more than {SECONDS:.0f} s; write a shorter loop")


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _join(parts: list[Any]) -> str:
    text = "".join(map(str, parts))
    require_short(len(text))
    return text


def _short(value: Any) -> Any:
    require_short(_length(value))
    return value


def _length(value: Any) -> int:
    """Characters of a text, items of a list, digits of a whole number."""
    if isinstance(value, int):
        return value.bit_length() // 3
    return len(value) if isinstance(value, str | list | tuple) else 0


def require_short(length: int) -> None:
    """Raise SecurityError if something is too long."""
    if length > LONGEST:
        raise SecurityError(f"writes more than {LONGEST} characters; write less")
