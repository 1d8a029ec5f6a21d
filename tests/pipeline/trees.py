"""What a run's directories hold, in a form that two runs can be compared by."""

import hashlib
import json
from pathlib import Path


def tree(directory: Path) -> dict[str, str]:
    """SHA-256 of every file, by relative name, without the working folder, times and speeds."""
    return {
        path.relative_to(directory).as_posix(): _digest(path)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and ".work" not in path.relative_to(directory).parts
    }


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.name == "record.json":
        record = json.loads(content)
        record.pop("wall_seconds")
        record["code_path"].pop("speed", None)
        content = json.dumps(record, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()
