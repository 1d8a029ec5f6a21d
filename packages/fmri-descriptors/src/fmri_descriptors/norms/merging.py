"""Norms of two cohorts together, from their statistics alone."""

from collections.abc import Iterable, Mapping
from typing import Any

from fmri_descriptors.errors import InputError
from fmri_descriptors.norms.robust_z_scores import combine


def require_same_features(
    features: Iterable[str],
    order_hash: str | None,
    other_features: Iterable[str],
    other_order_hash: str | None,
) -> None:
    """Raise an `InputError` if features or the order of the regions differ."""
    differing = sorted(set(features).symmetric_difference(other_features))
    if differing:
        raise InputError(
            f"norms: feature {differing[0]!r} is on one side only ({len(differing)} such); "
            "measure with the same extractor"
        )
    if order_hash and other_order_hash and order_hash != other_order_hash:
        raise InputError(
            f"norms: region order {order_hash}, but the other side has {other_order_hash}; "
            "use one parcellation throughout"
        )


def require_mergeable(a: Mapping[str, Any], b: Mapping[str, Any], options: Iterable[str]) -> None:
    """Check that two norms can be merged.

    Parameters
    ----------
    a, b : mapping of str to Any
        Attributes of fitted `CohortNorms`, by name.
    options : iterable of str
        Attributes that must be equal.

    Raises
    ------
    InputError
        If features, region order or options differ, or a scan is in both.
    """
    require_same_features(a["table_"].index, a["order_hash_"], b["table_"].index, b["order_hash_"])
    for name in options:
        if a[name] != b[name]:
            raise InputError(
                f"norms: {name} is {a[name]} on one side and {b[name]} on the other; fit both "
                "with the same options"
            )
    both = sorted(set(a["fitted_on_"]).intersection(b["fitted_on_"]))
    if both:
        raise InputError(f"norms: scan {both[0]!r} is in both; merge norms of different scans")


def combined(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fitted attributes of two mergeable norms together, without their values.

    Parameters
    ----------
    a, b : mapping of str to Any
        Attributes of fitted `CohortNorms`, by name.

    Raises
    ------
    InputError
        If a person is in both: without the values, that person would count twice.
    """
    both = sorted(set(a["subjects_"].values()).intersection(b["subjects_"].values()))
    if both:
        raise InputError(
            f"norms: subject {both[0]!r} is in both, and would count twice; keep each side's "
            "values file beside its norms and merge again"
        )
    tables = dict(a["site_tables_"])
    for site, table in b["site_tables_"].items():
        tables[site] = combine(tables[site], table) if site in tables else table
    counts = {
        name: {site: a[name].get(site, 0) + b[name].get(site, 0) for site in sorted(tables)}
        for name in ("site_counts_", "site_people_")
    }
    return {
        "table_": combine(a["table_"], b["table_"]),
        "fitted_on_": sorted([*a["fitted_on_"], *b["fitted_on_"]]),
        "subjects_": a["subjects_"] | b["subjects_"],
        "sites_": a["sites_"] | b["sites_"],
        "site_tables_": dict(sorted(tables.items())),
        **counts,
    }
