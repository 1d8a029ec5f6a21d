"""What has been answered so far, so that a run that was killed asks only for the rest."""

import hashlib
import json
import threading
from pathlib import Path
from typing import Any


class Journal:
    """Answers on disk, one JSON line each, found by key.

    Parameters
    ----------
    path : Path
        The file; it is made if it does not exist. A last line that was cut short is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self._offsets = self._indexed()

    def __contains__(self, key: str) -> bool:
        return key in self._offsets

    def __getitem__(self, key: str) -> dict[str, Any]:
        with self.path.open("rb") as file:
            file.seek(self._offsets[key])
            return dict(json.loads(file.readline())["entry"])

    def add(self, key: str, entry: dict[str, Any]) -> None:
        """Append an answer; it is on disk when this returns."""
        line = json.dumps({"key": key, "entry": entry}, ensure_ascii=False).encode() + b"\n"
        with self._lock, self.path.open("ab") as file:
            self._offsets[key] = file.tell()
            file.write(line)

    def _indexed(self) -> dict[str, int]:
        offsets: dict[str, int] = {}
        whole = 0
        with self.path.open("r+b") as file:
            for line in file:
                try:
                    offsets[json.loads(line)["key"]] = whole
                except (ValueError, KeyError, TypeError):
                    break
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
            file.truncate(whole)
        return {key: offset for key, offset in offsets.items() if offset < whole}


def key_of(*parts: object) -> str:
    """Return a key that is the same for the same parts and for no others."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
