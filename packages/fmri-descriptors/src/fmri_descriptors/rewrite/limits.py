"""What an answer over the network may cost: so many bytes, so much time, and no other address."""

import importlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

LONGEST_ANSWER = 8 << 20
"""Bytes of a response; a long answer of a language model has some ten thousand."""

Result = TypeVar("Result")


class TooLongError(Exception):
    """A response has more bytes than `LONGEST_ANSWER`, or may have, as it is compressed."""


class OverdueError(Exception):
    """A call has not come back in time."""


def bounded_client(timeout: float, *, trust_env: bool, reached: Callable[[], None]) -> Any:
    """HTTP client for `openai` that follows no redirect and reads no endless response.

    Parameters
    ----------
    timeout : float
        Seconds for each step of a request.
    trust_env : bool
        Whether proxies of the environment are used.
    reached : callable
        Called when the head of a response has come.
    """
    import openai

    def bound(response: Any) -> None:
        reached()
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise TooLongError("a compressed response, which was not asked for")
        response.stream = _bounded(response.stream)

    return openai.DefaultHttpxClient(
        trust_env=trust_env,
        timeout=timeout,
        follow_redirects=False,
        headers={"Accept-Encoding": "identity"},
        event_hooks={"response": [bound]},
    )


def in_time(call: Callable[[], Result], seconds: float) -> Result:
    """Return what a call returns, or raise what it raises, if it comes back in time.

    One that does not is left behind in a thread that dies with the process.

    Raises
    ------
    OverdueError
        If the time is over.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise OverdueError
    return results[0]


def _bounded(stream: Any) -> Any:
    """Stream of a response that ends in an error where it gets too long."""
    import openai

    # `openai` has changed the library beneath it; the class has its name in each.
    library = openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]
    base: Any = importlib.import_module(library).SyncByteStream

    class Bounded(base):
        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for piece in stream:
                size += len(piece)
                if size > LONGEST_ANSWER:
                    raise TooLongError(f"more than {LONGEST_ANSWER:,} bytes")
                yield piece

        def close(self) -> None:
            stream.close()

    return Bounded()
