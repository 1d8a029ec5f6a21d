"""The captions of a described cohort, rewritten in place."""

from collections.abc import Callable
from pathlib import Path

from fmri_descriptors.cohort.read import Cohort
from fmri_descriptors.rewrite.captions import rewrite_captions
from fmri_descriptors.rewrite.report import RewriteReport
from fmri_descriptors.settings import RewriteSettings

TEMPLATE_CAPTIONS = "template-captions.jsonl"


def rewrite_described(
    cohort: Cohort,
    directory: Path,
    settings: RewriteSettings,
    *,
    workspace: Path,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> RewriteReport:
    """Replace the captions that `describe_cohort` wrote by rewrites that passed the check.

    Parameters
    ----------
    cohort : Cohort
        Gives the networks, and the ids that must not be sent.
    directory : Path
        Folder with ``captions.jsonl``; gets ``rewriting.json`` as well.
    settings, workspace, seed, progress
        As in `rewrite_captions`.

    Raises
    ------
    InputError
        As `rewrite_captions` does.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    captions = directory / "captions.jsonl"
    template = captions.replace(workspace / TEMPLATE_CAPTIONS)
    ids = {
        str(row["scan_id"]): (row["sub"], row["ses"], row["site"])
        for row in cohort.rows(["scan_id", "sub", "ses", "site"])
    }
    return rewrite_captions(
        template,
        captions,
        settings,
        networks=cohort.parcellation.network_names,
        workspace=workspace,
        identifiers=lambda scan_id: ids.get(scan_id, ()),
        seed=seed,
        progress=progress,
    )
