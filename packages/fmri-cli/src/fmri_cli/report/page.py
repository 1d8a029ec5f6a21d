"""The report of a run, written as one file."""

from collections.abc import Callable
from pathlib import Path

from fmri_cli.report.artefacts import Run
from fmri_cli.report.sections import build_sections
from fmri_cli.report.sections.base import Section, plural
from fmri_cli.report.settings import ReportSettings


def write_report(
    run: Path,
    directory: Path,
    settings: ReportSettings | None = None,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> str:
    """Write `directory/report.html` and return one line about it.

    The page needs no network: styles are inline and figures are data URIs. The same run
    and settings give the same bytes.

    Parameters
    ----------
    run
        A finished run directory.
    directory
        An existing directory to write into.
    settings
        What to show; the defaults if None.
    progress
        Called with sections done and sections in all.

    Raises
    ------
    click.ClickException
        If a stage of the run is missing, or the wanted scan is not a held-out one.
    """
    artefacts = Run(run)
    sections = build_sections(artefacts, settings or ReportSettings(), progress)
    # Half a character, as JSON can hold it in a name, is no text that a file can have.
    page = render(artefacts, sections).encode("utf-8", "replace")
    (directory / "report.html").write_bytes(page)
    return f"report.html: {plural(len(sections), 'section')}, {len(page) / 1e6:.1f} MB"


def render(run: Run, sections: list[Section]) -> str:
    """Render the page as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fmri_cli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    return template.render(sections=sections, facts=_facts(run))


def _facts(run: Run) -> list[tuple[str, str]]:
    """Sum up the run in a few figures, for the head of the page."""
    scans = run.scans
    subjects = scans.groupby("split")["sub"].nunique()
    return [
        ("Scans", f"{len(scans)}"),
        ("Subjects", f"{scans['sub'].nunique()}"),
        ("Trained on", plural(int(subjects["train"]), "subject")),
        ("Held out", plural(int(subjects["test"]), "subject")),
        ("Parcellation", f"{run.cohort['parcellation']}, {run.cohort['n_regions']} regions"),
    ]
