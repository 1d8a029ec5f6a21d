"""What a run's directories hold, in a form that two runs can be compared by."""

import json
from pathlib import Path


def tree(directory: Path) -> dict[str, bytes]:
    """Bytes of every file, by relative name, without the hidden working folder and wall times."""
    return {
        path.relative_to(directory).as_posix(): _content(path)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and ".work" not in path.relative_to(directory).parts
    }


def _content(path: Path) -> bytes:
    if path.name != "record.json":
        return path.read_bytes()
    record = json.loads(path.read_text())
    record.pop("wall_seconds")
    return json.dumps(record, sort_keys=True).encode()
