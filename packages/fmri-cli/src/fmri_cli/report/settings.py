"""Settings of the report; importing them costs nothing."""

from dataclasses import dataclass

from fmri_cli.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """What the report shows of each kind; the artefacts themselves hold everything.

    Parameters
    ----------
    scan
        `scan_id` of the held-out scan that is drawn and described; the first one by name if None.
    regions
        Number of regions in the figure of signal against reconstruction.
    features
        Rows of each domain's descriptor table; the rest is folded away below it.
    answers
        Rows of the table of answers.
    """

    scan: str | None = None
    regions: int = 5
    features: int = 8
    answers: int = 120

    def __post_init__(self) -> None:
        for name, low, high in (("regions", 2, 12), ("features", 1, 200), ("answers", 1, 10_000)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name}: {value}; give a number from {low} to {high}.")
