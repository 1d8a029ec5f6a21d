"""A digest that says whether a source still lists the same recordings, files unread."""

import hashlib
import json
from pathlib import Path
from typing import Any

from fmri_descriptors.readers.base import Source


def listing_digest(source: Source, *settings: Any) -> str:
    """Return 16 hex digits over what a source lists and over the size and time of its files.

    Recordings can be terabytes, so their bytes are not read: a file counts as changed when its
    size or its time of modification (in nanoseconds) is another. What was read to list them
    (names, repetition times, phenotypes, what is rejected or left out) counts by content. A file
    that is not there, such as a link without content, counts as that. The folder they lie in does
    not count.

    Parameters
    ----------
    source : Source
        What is listed.
    *settings
        JSON values that count too.

    """
    digest = hashlib.sha256(json.dumps([source.name, settings]).encode())
    for r in source.recordings:
        who = (r.name, r.scan_id, r.subject, r.session, r.site, r.tr, dict(r.phenotypes))
        digest.update(json.dumps(who, sort_keys=True).encode())
    for rejected in source.rejected:
        digest.update(json.dumps([rejected.path, rejected.scan_id]).encode())
    for left_out in source.left_out:
        digest.update(json.dumps([left_out.path, left_out.rule]).encode())
    for path in dict.fromkeys(source.files):
        digest.update(json.dumps([path.name, *_version(path)]).encode())
    return digest.hexdigest()[:16]


def _version(path: Path) -> tuple[int, int] | tuple[()]:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_size, stat.st_mtime_ns
