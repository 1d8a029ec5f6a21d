"""How fast a run goes, and how much of its time it waits for data."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter


@dataclass
class Speed:
    """Time of the steps that this process has taken, without validations and checkpoints.

    Attributes
    ----------
    n_examples : int
        Of all processes together.
    seconds : float
        Time of the steps.
    waiting : float
        Of these, seconds until the examples of a step were there.
    """

    n_examples: int = 0
    seconds: float = 0.0
    waiting: float = 0.0
    _before: tuple[float, float, float] = field(default=(0, 0.0, 0.0), init=False, repr=False)

    @contextlib.contextmanager
    def step(self, n_examples: int) -> Iterator[None]:
        """Count the time inside this context as that of a step on so many examples."""
        start = perf_counter()
        yield
        self.seconds += perf_counter() - start
        self.n_examples += n_examples

    @contextlib.contextmanager
    def wait(self) -> Iterator[None]:
        """Count the time inside this context as waiting; it is part of a step."""
        start = perf_counter()
        yield
        self.waiting += perf_counter() - start

    @property
    def facts(self) -> dict[str, float]:
        """``examples_per_second`` and ``waiting_for_data``, a share; empty without any step."""
        return _facts(self.n_examples, self.seconds, self.waiting)

    def interval(self) -> dict[str, float]:
        """Give the same of the steps since the last call."""
        now = (self.n_examples, self.seconds, self.waiting)
        before, self._before = self._before, now
        return _facts(*(value - old for value, old in zip(now, before, strict=True)))


def _facts(n_examples: float, seconds: float, waiting: float) -> dict[str, float]:
    if not n_examples:
        return {}
    return {"examples_per_second": n_examples / seconds, "waiting_for_data": waiting / seconds}
