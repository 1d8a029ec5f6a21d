"""The folder of what is computed once on a machine; nothing heavy is loaded here."""

import os
from pathlib import Path

CACHE_VARIABLE = "FMRI_LM_CACHE"


def cache_folder() -> Path:
    """Folder for what is computed once: ``$FMRI_LM_CACHE``, else the user's cache."""
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        return Path(override).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("fmri-lm"))
