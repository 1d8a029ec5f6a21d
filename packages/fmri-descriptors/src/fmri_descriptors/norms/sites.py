"""Sites of scans, and why a scan is not compared with its own."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def known_sites(
    scan_ids: Iterable[object], sites: "Mapping[str, str | None] | pd.Series[str]"
) -> dict[str, str]:
    """Return the site of each of these scans that has one, by scan id."""
    known = {str(scan_id): site for scan_id, site in dict(sites).items()}
    given = {str(scan_id): known.get(str(scan_id)) for scan_id in scan_ids}
    return {scan_id: site for scan_id, site in given.items() if isinstance(site, str) and site}


def why_pooled(site: str | None, n_seen: int, n_wanted: int) -> str:
    """Return why a scan is compared with all sites, in words.

    Parameters
    ----------
    site : str or None
        Its site, if known.
    n_seen, n_wanted : int
        People of that site that the norms were fitted on, and the fewest for norms of its own.
    """
    if site is None:
        return "no site given"
    if n_seen:
        return f"site {site} has {n_seen} of at least {n_wanted} training subjects"
    return f"site {site} was not seen in training"
