"""A held-out scan in words: its caption in each domain and the numbers behind it."""

import math
from typing import Any

from fmri_cli.report.artefacts import DOMAINS, Run
from fmri_cli.report.sections.base import Section
from fmri_cli.report.settings import ReportSettings

_Z_SHOWN = 4.0


def build(run: Run, settings: ReportSettings) -> Section:
    """Show one held-out scan's caption and the descriptor table of each domain."""
    scan = run.held_out_scan(settings.scan)
    captions = run.captions(scan)
    n_norm = len(run.norm_scans)
    return Section(
        anchor="caption",
        title="A held-out scan in words",
        look_for=(
            "Each sentence should say what its number says: a z above 1 reads as above the typical "
            "range, below −1 as below it, anything else as within it. The norms come from "
            f"{n_norm} training scans only, so z-scores of held-out scans can be "
            "large; a z is a distance from those few scans, not a clinical finding."
        ),
        values={
            "scan": scan,
            "caption": captions.get("all", ""),
            "n_norm": n_norm,
            "domains": [
                {
                    "name": title,
                    "text": captions.get(domain, ""),
                    "first": rows[: settings.features],
                    "rest": rows[settings.features :],
                }
                for domain, title in DOMAINS.items()
                for rows in [_feature_rows(run, scan, domain)]
            ],
        },
    )


def _feature_rows(run: Run, scan: str, domain: str) -> list[dict[str, Any]]:
    """Read the domain's features, the farthest from the norm first."""
    rows = {
        value["feature"]: _row(value)
        for descriptor in run.descriptors(scan)
        if descriptor["domain"] == domain
        for value in descriptor["values"]
    }
    return sorted(rows.values(), key=lambda row: (-abs(row["z"]), row["feature"]))


def _row(value: dict[str, Any]) -> dict[str, Any]:
    missing = value["z"] is None or not math.isfinite(value["z"])
    z = 0.0 if missing else value["z"]
    length = min(abs(z), _Z_SHOWN) / _Z_SHOWN * 50
    return {
        "feature": value["feature"],
        "value": "missing" if value["value"] is None else f"{value['value']:.4g}".replace("-", "−"),
        "z": z,
        "z_text": "not defined" if missing else _cut(z),
        "word": value["level_word"],
        "bar_left": 50 - length if z < 0 else 50,
        "bar_width": length,
    }


def _cut(z: float) -> str:
    """Write z cut towards zero, as the captions do: rounding could contradict the words."""
    return f"{math.trunc(z * 100) / 100:+.2f}".replace("-", "−")
