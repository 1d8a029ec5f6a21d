"""How fast requests go out."""

import threading
import time


class Pace:
    """Lets one request go at a time, evenly spread over a minute.

    Parameters
    ----------
    per_minute : float or None
        Requests a minute; None for as many as there are.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0  # s
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may go."""
        if not self._gap:
            return
        with self._lock:
            now = time.monotonic()
            mine = max(now, self._next)
            self._next = mine + self._gap
        time.sleep(max(0.0, mine - now))
