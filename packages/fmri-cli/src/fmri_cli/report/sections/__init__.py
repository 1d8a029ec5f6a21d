"""The sections of the report, in reading order; each reads artefacts and hands over its values."""

from collections.abc import Callable
from importlib import import_module

from fmri_cli.report.artefacts import Run
from fmri_cli.report.sections.base import Section
from fmri_cli.report.settings import ReportSettings

ORDER = (
    "cohort",
    "measures",
    "caption",
    "tokenizer",
    "training",
    "answers",
    "scores",
    "limits",
    "provenance",
)


def build_sections(
    run: Run, settings: ReportSettings, progress: Callable[[int, int], None]
) -> list[Section]:
    """Every section of a run's report, in order."""
    built = []
    for done, name in enumerate(ORDER):
        progress(done, len(ORDER))
        built.append(import_module(f"{__name__}.{name}").build(run, settings))
    progress(len(ORDER), len(ORDER))
    return built
