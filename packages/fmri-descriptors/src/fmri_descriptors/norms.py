"""Cohort statistics of features, and z-scores against them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fmri_descriptors.errors import InputError
from fmri_descriptors.files import read_json, write_json
from fmri_descriptors.norms_files import StoredValues, plain_table, read_table, write_values
from fmri_descriptors.norms_statistics import combine, statistics

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 2
"""Version of ``norms.json`` that this package writes and the newest it reads."""

_NORMAL_MAD = 1.4826  # standard deviation of a normal distribution in units of its MAD

POOLED = "pooled"
"""What a scan is compared with where its site has no norms of its own."""


class CohortNorms(TransformerMixin, BaseEstimator):
    """Mean, standard deviation, median and MAD of every feature over a cohort.

    Parameters
    ----------
    robust : bool
        Whether `transform` uses (x - median) / (1.4826 MAD) instead of (x - mean) / sd.
    site_aware : bool
        Whether a scan is compared with the scans of its own site. A site that was not seen, or
        not often enough, has no norms of its own: its scans are compared with the pooled ones,
        and `reference` says so.
    min_site_scans : int
        A site with fewer scans than this has no norms of its own; nor has a feature with fewer
        values than this at a site. With 20, the standard deviation is known to 16 %.

    Attributes
    ----------
    table_ : DataFrame
        One row a feature; columns ``n``, ``mean``, ``sd`` (n - 1 in the denominator), ``median``
        and ``mad``. A feature's missing values do not count.
    site_tables_ : dict of str to DataFrame
        The same by site; empty unless `site_aware`.
    site_counts_ : dict of str to int
        Scans by site; empty unless `site_aware`.
    sites_ : dict of str to str
        Site of each scan it was fitted on that has one; empty unless `site_aware`.
    fitted_on_ : list of str
        Ids of the scans, sorted.
    parcellation_, order_hash_ : str or None
        Regions that the features were measured on, where the features say so.

    Examples
    --------
    >>> norms = CohortNorms(site_aware=True).fit(features, sites=sites)  # doctest: +SKIP
    >>> z = norms.transform(features, sites=sites)  # doctest: +SKIP
    """

    def __init__(
        self, robust: bool = False, site_aware: bool = False, min_site_scans: int = 20
    ) -> None:
        self.robust = robust
        self.site_aware = site_aware
        self.min_site_scans = min_site_scans

    def fit(
        self,
        features: "pd.DataFrame",
        y: None = None,  # noqa: ARG002
        sites: "Mapping[str, str | None] | pd.Series[str] | None" = None,
    ) -> "CohortNorms":
        """Learn the statistics of a cohort.

        Parameters
        ----------
        features : DataFrame
            One row a scan, indexed by scan id, one column a feature.
        y : None
            Ignored, as scikit-learn's pipelines pass it.
        sites : mapping or Series, optional
            Site of each scan id; needed where `site_aware`. A scan without a site counts among
            the pooled ones only.

        Raises
        ------
        InputError
            If there are fewer than two scans, an id occurs twice, `min_site_scans` is below 2, or
            sites are needed and not given.
        """
        if len(features) < 2:
            raise InputError(f"norms: {len(features)} scan; at least 2 are needed for a spread")
        if features.index.has_duplicates:
            raise InputError("norms: a scan id occurs twice; give each scan once")
        if self.min_site_scans < 2:
            raise InputError(f"min_site_scans: {self.min_site_scans}; give at least 2")
        self.parcellation_ = features.attrs.get("parcellation")
        self.order_hash_ = features.attrs.get("order_hash")
        return self._learn(features, self._site_of(features.index, sites))

    def fit_transform(
        self,
        features: "pd.DataFrame",
        y: None = None,
        sites: "Mapping[str, str | None] | pd.Series[str] | None" = None,
    ) -> "pd.DataFrame":
        """Return the z-scores of the cohort that the norms are fitted on."""
        return self.fit(features, y, sites).transform(features, sites)

    def _learn(self, features: "pd.DataFrame", site_of: dict[str, str]) -> "CohortNorms":
        values = features.astype(np.float64).set_axis(features.index.map(str), axis=0)
        # One order of the rows whatever came first: sums then agree to the last bit.
        values = values.sort_index()
        self.table_ = statistics(values)
        self.fitted_on_ = list(values.index)
        self._values: pd.DataFrame | StoredValues | None = values
        self.sites_ = {scan_id: site_of[scan_id] for scan_id in values.index if scan_id in site_of}
        groups = {site: [s for s, at in self.sites_.items() if at == site] for site in self._names}
        self.site_tables_ = {site: statistics(values.loc[ids]) for site, ids in groups.items()}
        self.site_counts_ = {site: len(ids) for site, ids in groups.items()}
        return self

    @property
    def _names(self) -> list[str]:
        return sorted(set(self.sites_.values()))

    def _site_of(
        self, index: "pd.Index[str]", sites: "Mapping[str, str | None] | pd.Series[str] | None"
    ) -> dict[str, str]:
        """Site by scan id, for the scans that have one; nothing unless sites count."""
        if not self.site_aware:
            return {}
        if sites is None:
            raise InputError("norms: site_aware, but no sites; give the site of each scan id")
        known = {str(scan_id): site for scan_id, site in dict(sites).items()}
        given = {str(scan_id): known.get(str(scan_id)) for scan_id in index}
        return {scan_id: site for scan_id, site in given.items() if isinstance(site, str) and site}

    def transform(
        self,
        features: "pd.DataFrame",
        sites: "Mapping[str, str | None] | pd.Series[str] | None" = None,
    ) -> "pd.DataFrame":
        """Return z-scores of the same shape; NaN where a feature is missing or has no spread.

        Parameters
        ----------
        features : DataFrame
            One row a scan, with the columns of the cohort.
        sites : mapping or Series, optional
            Site of each scan id; needed where `site_aware`. See `reference` for what each scan
            was compared with.

        Raises
        ------
        InputError
            If the columns or the region order differ, the robust statistics were lost by a
            merge, or sites are needed and not given.
        """
        import pandas as pd

        check_is_fitted(self)
        self._require_same_features(features.columns, features.attrs.get("order_hash"))
        site_of = self._site_of(features.index, sites)
        by_scan = np.array([self._norms_of(site_of.get(str(i))) for i in features.index], object)
        z = pd.DataFrame(np.nan, features.index, features.columns, dtype=np.float64)
        for name in dict.fromkeys(by_scan):
            centre, spread = (side.loc[features.columns] for side in self._scale(name))
            spread = spread.where(spread > np.finfo(np.float64).eps * centre.abs())
            rows = by_scan == name
            z.loc[rows] = ((features.loc[rows] - centre) / spread).to_numpy()
        z.attrs = dict(features.attrs)
        return z

    def reference(
        self,
        scan_ids: Iterable[str],
        sites: "Mapping[str, str | None] | pd.Series[str] | None" = None,
    ) -> "pd.DataFrame":
        """Return what each scan is compared with, and why not with its site.

        Parameters
        ----------
        scan_ids : iterable of str
            Scans to look up.
        sites : mapping or Series, optional
            As for `transform`.

        Returns
        -------
        DataFrame
            Indexed by scan id. ``norms`` is the name of the site or `POOLED`; ``n_scans`` the
            scans behind these norms; ``pooled_features`` how many features are compared with
            the pooled norms; ``reason`` says why any is, and is empty where none is.
        """
        import pandas as pd

        check_is_fitted(self)
        index = pd.Index([str(scan_id) for scan_id in scan_ids], name="scan_id", dtype=object)
        site_of = self._site_of(index, sites)
        rows = [self._reference_of(site_of.get(scan_id)) for scan_id in index]
        columns = ["norms", "n_scans", "pooled_features", "reason"]
        return pd.DataFrame(rows, index=index, columns=columns)

    def _norms_of(self, site: str | None) -> str:
        """Site with norms of its own, or the empty string for the pooled ones."""
        enough = site is not None and self.site_counts_.get(site, 0) >= self.min_site_scans
        return site if enough and site is not None else ""

    def _reference_of(self, site: str | None) -> tuple[str, int, int, str]:
        name, n_features = self._norms_of(site), len(self.table_)
        if name:
            few = int((self.site_tables_[name]["n"] < self.min_site_scans).sum())
            reason = f"fewer than {self.min_site_scans} values at the site" if few else ""
            return name, self.site_counts_[name], few, reason
        n_seen = self.site_counts_.get(site or "", 0)
        if not self.site_aware:
            reason = "norms do not look at sites"
        elif site is None:
            reason = "no site given"
        elif n_seen:
            reason = f"site {site} has {n_seen} of at least {self.min_site_scans} training scans"
        else:
            reason = f"site {site} was not seen in training"
        return POOLED, len(self.fitted_on_), n_features, reason

    def _scale(self, site: str) -> tuple["pd.Series[float]", "pd.Series[float]"]:
        """Centre and spread of every feature, at a site or (empty string) pooled."""
        pooled = self._centre_and_spread(self.table_)
        if not site:
            return pooled
        own = self.site_tables_[site]
        enough = own["n"] >= self.min_site_scans
        centre, spread = self._centre_and_spread(own)
        return centre.where(enough, pooled[0]), spread.where(enough, pooled[1])

    def _centre_and_spread(
        self, table: "pd.DataFrame"
    ) -> tuple["pd.Series[float]", "pd.Series[float]"]:
        if not self.robust:
            return table["mean"], table["sd"]
        if (table["median"].isna() & (table["n"] > 0)).any():
            raise InputError(
                "norms: merged norms have no median and MAD; keep each side's values file beside "
                "its norms and merge again, use robust=False, or fit on all scans"
            )
        return table["median"], _NORMAL_MAD * table["mad"]

    def merge(self, other: "CohortNorms") -> "CohortNorms":
        """Return the norms of two cohorts together.

        Where both sides have their values (fitted here, or loaded with the values file beside),
        the result is bit for bit that of one fit on all scans. Otherwise ``n``, ``mean`` and
        ``sd`` still equal it, by `combine`, and ``median`` and ``mad`` are left out (NaN), so
        that ``robust=True`` raises.

        Parameters
        ----------
        other : CohortNorms
            Norms of other scans, on the same features and with the same options.

        Raises
        ------
        InputError
            If features, region order or options differ, a scan is in both, or a values file is
            damaged.
        """
        import pandas as pd

        check_is_fitted(self)
        self._require_mergeable(other)
        merged = CohortNorms(**self.get_params())
        merged.parcellation_, merged.order_hash_ = self.parcellation_, self.order_hash_
        values = [side.values() for side in (self, other)]
        if values[0] is not None and values[1] is not None:
            whole = pd.concat([values[0], values[1][values[0].columns]])
            return merged._learn(whole, {**self.sites_, **other.sites_})
        return merged._combine(self, other)

    def values(self) -> "pd.DataFrame | None":
        """Return the features that the norms were fitted on, where they are still at hand.

        Raises
        ------
        InputError
            If the values file beside the norms is not the one saved with them.
        """
        stored = self._values
        return stored.read() if isinstance(stored, StoredValues) else stored

    def _combine(self, a: "CohortNorms", b: "CohortNorms") -> "CohortNorms":
        self.table_ = combine(a.table_, b.table_)
        self.fitted_on_ = sorted([*a.fitted_on_, *b.fitted_on_])
        self._values = None
        self.sites_ = {**a.sites_, **b.sites_}
        tables = dict(a.site_tables_)
        for site, table in b.site_tables_.items():
            tables[site] = combine(tables[site], table) if site in tables else table
        self.site_tables_ = dict(sorted(tables.items()))
        counts = {s: a.site_counts_.get(s, 0) + b.site_counts_.get(s, 0) for s in self.site_tables_}
        self.site_counts_ = counts
        return self

    def _require_mergeable(self, other: "CohortNorms") -> None:
        self._require_same_features(other.table_.index, other.order_hash_)
        for name, mine in self.get_params().items():
            if mine != getattr(other, name):
                raise InputError(
                    f"norms: {name} is {mine} on one side and {getattr(other, name)} on the "
                    "other; fit both with the same options"
                )
        both = sorted(set(self.fitted_on_).intersection(other.fitted_on_))
        if both:
            raise InputError(f"norms: scan {both[0]!r} is in both; merge norms of different scans")

    def _require_same_features(self, columns: Iterable[str], order_hash: str | None) -> None:
        differing = sorted(set(self.table_.index).symmetric_difference(columns))
        if differing:
            raise InputError(
                f"norms: feature {differing[0]!r} is on one side only ({len(differing)} such); "
                "measure with the same extractor"
            )
        if self.order_hash_ and order_hash and self.order_hash_ != order_hash:
            raise InputError(
                f"norms: region order {self.order_hash_}, but the other side has {order_hash}; "
                "use one parcellation throughout"
            )

    def save(self, path: Path, *, values: bool = True) -> None:
        """Write the norms as JSON, and the values that merging medians needs.

        Parameters
        ----------
        path : Path
            The file, usually ``norms.json``.
        values : bool
            Whether to write the features of the fitted scans too, to ``norms-values.npy`` beside
            it (8 bytes a value). Leave them out to share norms without anyone's measurements.
        """
        check_is_fitted(self)
        kept = self.values() if values else None
        stored = None if kept is None else write_values(kept, Path(path))
        document = {
            "schema": SCHEMA,
            **self.get_params(),
            "parcellation": self.parcellation_,
            "order_hash": self.order_hash_,
            "fitted_on": self.fitted_on_,
            "features": plain_table(self.table_),
            "sites": {
                site: {
                    "n_scans": self.site_counts_[site],
                    "own_norms": bool(self._norms_of(site)),
                    "features": plain_table(table),
                }
                for site, table in self.site_tables_.items()
            },
            "site_of": self.sites_,
            "values": stored and {"file": stored.path.name, "digest": stored.digest},
        }
        write_json(document, Path(path))

    @classmethod
    def load(cls, path: Path, *, robust: bool | None = None) -> "CohortNorms":
        """Return the norms that `save` wrote.

        Parameters
        ----------
        path : Path
            The file, usually ``norms.json``.
        robust : bool, optional
            Other than what the norms were saved with.

        Raises
        ------
        InputError
            If the file is missing, damaged, or of a newer schema.
        """
        path = Path(path)
        document = read_json(path)
        if document.get("schema") not in {1, SCHEMA}:
            raise InputError(
                f"{path}: schema {document.get('schema')!r}, but this version reads {SCHEMA}; "
                "upgrade fmri-descriptors"
            )
        names = ("robust", "site_aware", "min_site_scans")
        norms = cls(**{name: document[name] for name in names if name in document})
        norms.robust = norms.robust if robust is None else robust
        try:
            norms._take(document, path.parent)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: no norms ({error}); describe the cohort again") from error
        return norms

    def _take(self, document: dict[str, Any], directory: Path) -> None:
        self.table_ = read_table(document["features"])
        self.fitted_on_ = [str(scan_id) for scan_id in document["fitted_on"]]
        self.parcellation_ = document.get("parcellation")
        self.order_hash_ = document.get("order_hash")
        # Schema 1 knew neither sites nor values.
        sites = document.get("sites", {})
        self.site_tables_ = {site: read_table(entry["features"]) for site, entry in sites.items()}
        self.site_counts_ = {site: int(entry["n_scans"]) for site, entry in sites.items()}
        self.sites_ = dict(document.get("site_of", {}))
        stored = document.get("values")
        self._values = None
        if stored is not None:
            columns = tuple(sorted(self.table_.index))
            file = directory / Path(stored["file"]).name
            self._values = StoredValues(file, stored["digest"], tuple(self.fitted_on_), columns)
