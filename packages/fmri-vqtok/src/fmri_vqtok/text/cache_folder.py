"""The folder of cached results; it imports nothing heavy."""

import os
from pathlib import Path

CACHE_VARIABLE = "FMRI_LM_CACHE"


def cache_folder() -> Path:
    """Folder of cached results: ``$FMRI_LM_CACHE``, else the user's cache."""
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        return Path(override).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("fmri-lm"))
