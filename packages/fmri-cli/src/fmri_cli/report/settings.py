"""Settings of the report."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """What the report shows of each kind; the artefacts themselves hold everything.

    Parameters
    ----------
    scan
        `scan_id` of the held-out scan that is drawn and described; the first one by name if None.
    regions
        Number of regions in the figure of signal against reconstruction, 2 to 12.
    features
        Rows of each domain's descriptor table, 1 to 200; the rest is folded away below it.
    answers
        Rows of the table of answers, 1 to 10,000.
    """

    scan: str | None = None
    regions: Annotated[int, Field(ge=2, le=12)] = 5
    features: Annotated[int, Field(ge=1, le=200)] = 8
    answers: Annotated[int, Field(ge=1, le=10_000)] = 120
