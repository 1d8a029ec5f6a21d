"""Cohort statistics of features, and z-scores against them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fmri_descriptors.errors import InputError
from fmri_descriptors.norms.files import StoredValues, read_norms, write_norms
from fmri_descriptors.norms.leave_one_out import leave_one_out
from fmri_descriptors.norms.merging import combined, require_mergeable, require_same_features
from fmri_descriptors.norms.robust_z_scores import centre_and_spread, statistics, z_scores
from fmri_descriptors.norms.sites import known_sites, why_pooled

if TYPE_CHECKING:
    import pandas as pd

POOLED = "pooled"
"""What a scan is compared with where its site has no norms of its own."""


class CohortNorms(TransformerMixin, BaseEstimator):
    """Mean, standard deviation, median and MAD of every feature over the people of a cohort.

    A person counts once, however many scans there are: each scan has its share of the person's
    weight (see `statistics`).

    Parameters
    ----------
    robust : bool
        Whether `transform` uses (x - median) / (1.4826 MAD) instead of (x - mean) / sd.
    site_aware : bool
        Whether a scan is compared with the scans of its own site. A site that was not seen, or
        not often enough, has no norms of its own: its scans are compared with the pooled ones,
        and `reference` says so.
    min_site_scans : int
        A site with scans of fewer people than this has no norms of its own; nor has a feature
        that fewer people have a value of at a site. With 20, the standard deviation is known to
        16 %.

    Attributes
    ----------
    table_ : DataFrame
        One row a feature; columns ``n`` (people), ``mean``, ``sd`` (n - 1 in the denominator),
        ``median`` and ``mad``. A feature's missing values do not count.
    site_tables_ : dict of str to DataFrame
        The same by site; empty unless `site_aware`.
    site_counts_, site_people_ : dict of str to int
        Scans and people by site; empty unless `site_aware`.
    subjects_ : dict of str to str
        Whose scan each is that it was fitted on; a scan of its own id where nobody said so.
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
        subjects: "Mapping[str, str] | pd.Series[str] | None" = None,
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
        subjects : mapping or Series, optional
            Person of each scan id; each scan is of another person if not given.

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
        given = {} if subjects is None else {str(k): str(v) for k, v in dict(subjects).items()}
        subject_of = {
            str(scan_id): given.get(str(scan_id), str(scan_id)) for scan_id in features.index
        }
        return self._learn(features, self._site_of(features.index, sites), subject_of)

    def fit_transform(
        self,
        features: "pd.DataFrame",
        y: None = None,
        sites: "Mapping[str, str | None] | pd.Series[str] | None" = None,
        subjects: "Mapping[str, str] | pd.Series[str] | None" = None,
    ) -> "pd.DataFrame":
        """Return the z-scores of the cohort that the norms are fitted on."""
        return self.fit(features, y, sites, subjects).transform(features, sites)

    def _learn(
        self, features: "pd.DataFrame", site_of: dict[str, str], subject_of: dict[str, str]
    ) -> "CohortNorms":
        values = features.astype(np.float64).set_axis(features.index.map(str), axis=0)
        # One order of the rows whatever came first: sums then agree to the last bit.
        values = values.sort_index()
        self.fitted_on_ = list(values.index)
        self.subjects_ = {scan_id: subject_of[scan_id] for scan_id in self.fitted_on_}
        self.table_ = statistics(values, self._people(self.fitted_on_))
        self._values: pd.DataFrame | StoredValues | None = values
        self.sites_ = {scan_id: site_of[scan_id] for scan_id in values.index if scan_id in site_of}
        names = sorted(set(self.sites_.values()))
        groups = {site: [s for s, at in self.sites_.items() if at == site] for site in names}
        self.site_tables_ = {
            site: statistics(values.loc[ids], self._people(ids)) for site, ids in groups.items()
        }
        self.site_counts_ = {site: len(ids) for site, ids in groups.items()}
        self.site_people_ = {
            site: len({self.subjects_[scan_id] for scan_id in ids}) for site, ids in groups.items()
        }
        return self

    def _people(self, scan_ids: list[str]) -> NDArray[np.intp]:
        """Give each of these scans the number of its person among them, from 0."""
        _, numbers = np.unique([self.subjects_[i] for i in scan_ids], return_inverse=True)
        return np.asarray(numbers, dtype=np.intp)

    @property
    def n_people_(self) -> int:
        """Number of people that it was fitted on."""
        return len(set(self.subjects_.values()))

    def _site_of(
        self, index: "pd.Index[str]", sites: "Mapping[str, str | None] | pd.Series[str] | None"
    ) -> dict[str, str]:
        """Site by scan id, for the scans that have one; nothing unless sites count."""
        if not self.site_aware:
            return {}
        if sites is None:
            raise InputError("norms: site_aware, but no sites; give the site of each scan id")
        return known_sites(index, sites)

    def transform(
        self,
        features: "pd.DataFrame",
        sites: "Mapping[str, str | None] | pd.Series[str] | None" = None,
        *,
        leave_out: bool = False,
    ) -> "pd.DataFrame":
        """Return z-scores of the same shape; NaN where a feature is missing or has no spread.

        Parameters
        ----------
        features : DataFrame
            One row a scan, with the columns of the cohort.
        sites : mapping or Series, optional
            Site of each scan id; needed where `site_aware`. See `reference` for what each scan
            was compared with.
        leave_out : bool
            Whether a scan that the norms were fitted on is compared with the other people only,
            so that its z-scores are distributed like those of new scans. Such a scan is known by
            its id and its values; norms that were saved without values know none.

        Raises
        ------
        InputError
            If the columns or the region order differ, the robust statistics were lost by a
            merge, or sites are needed and not given.
        """
        import pandas as pd

        check_is_fitted(self)
        other = (features.columns, features.attrs.get("order_hash"))
        require_same_features(self.table_.index, self.order_hash_, *other)
        site_of = self._site_of(features.index, sites)
        by_scan = np.array([self._norms_of(site_of.get(str(i))) for i in features.index], object)
        known = self._fitted_rows(features) if leave_out else np.zeros(len(features), np.bool_)
        z = pd.DataFrame(np.nan, features.index, features.columns, dtype=np.float64)
        for name in dict.fromkeys(by_scan):
            centre, spread = (side.loc[features.columns] for side in self._scale(name))
            rows = (by_scan == name) & ~known
            z.loc[rows] = z_scores(features.loc[rows], centre, spread)
            rows = (by_scan == name) & known
            if rows.any():
                ids = features.index[rows].map(str)
                others = [side.loc[ids, features.columns] for side in self._left_out(name)]
                z.loc[rows] = z_scores(features.loc[rows], *others)
        z.attrs = dict(features.attrs)
        return z

    def _fitted_rows(self, features: "pd.DataFrame") -> NDArray[np.bool_]:
        """Which rows are scans that the norms were fitted on, with the values of then."""
        ids = features.index.map(str)
        known = np.asarray(ids.isin(self.fitted_on_))
        values = self.values() if known.any() else None
        if values is None:
            return np.zeros(len(features), dtype=np.bool_)
        then = values.reindex(ids)[list(features.columns)].to_numpy()
        now = features.to_numpy(dtype=np.float64)
        return np.asarray(known & np.isclose(then, now, rtol=1e-6, equal_nan=True).all(axis=1))

    def _left_out(self, site: str) -> tuple["pd.DataFrame", "pd.DataFrame"]:
        """Centre and spread of the others for each fitted scan, at a site or pooled."""
        import pandas as pd

        values = self.values()
        if values is None:
            raise InputError("norms: their values are gone; keep the values file beside the norms")
        rows = [i for i in self.fitted_on_ if not site or self.sites_.get(i) == site]
        people = self._people(rows)
        chosen = values.loc[rows]
        sides = leave_one_out(chosen.to_numpy(dtype=np.float64), people, robust=self.robust)
        centre, spread = (pd.DataFrame(s[people], chosen.index, chosen.columns) for s in sides)
        if not site:
            return centre, spread
        enough = (self.site_tables_[site]["n"] >= self.min_site_scans)[centre.columns].to_numpy()
        pooled = [side.loc[rows] for side in self._left_out("")]
        few = np.broadcast_to(~enough, centre.shape)
        return centre.mask(few, pooled[0]), spread.mask(few, pooled[1])

    def reference(
        self,
        scan_ids: Iterable[str],
        sites: "Mapping[str, str | None] | pd.Series[str] | None" = None,
        *,
        leave_out: bool = False,
    ) -> "pd.DataFrame":
        """Return what each scan is compared with, and why not with its site.

        Parameters
        ----------
        scan_ids : iterable of str
            Scans to look up.
        sites : mapping or Series, optional
            As for `transform`.
        leave_out : bool
            Whether ``n_people`` leaves out the person of a scan that the norms were fitted on, as
            `transform` does.

        Returns
        -------
        DataFrame
            Indexed by scan id. ``norms`` is the name of the site or `POOLED`; ``n_scans`` and
            ``n_people`` the scans and people behind these norms; ``pooled_features`` how many
            features are compared with the pooled norms; ``reason`` says why any is, and is empty
            where none is.
        """
        import pandas as pd

        check_is_fitted(self)
        index = pd.Index([str(scan_id) for scan_id in scan_ids], name="scan_id", dtype=object)
        site_of = self._site_of(index, sites)
        rows = [self._reference_of(site_of.get(scan_id)) for scan_id in index]
        columns = ["norms", "n_scans", "n_people", "pooled_features", "reason"]
        used = pd.DataFrame(rows, index=index, columns=columns)
        if leave_out:
            used.loc[used.index.isin(self.fitted_on_), "n_people"] -= 1
        return used

    def _norms_of(self, site: str | None) -> str:
        """Site with norms of its own, or the empty string for the pooled ones."""
        enough = site is not None and self.site_people_.get(site, 0) >= self.min_site_scans
        return site if enough and site is not None else ""

    def _reference_of(self, site: str | None) -> tuple[str, int, int, int, str]:
        name, n_features = self._norms_of(site), len(self.table_)
        if name:
            few = int((self.site_tables_[name]["n"] < self.min_site_scans).sum())
            reason = f"fewer than {self.min_site_scans} values at the site" if few else ""
            return name, self.site_counts_[name], self.site_people_[name], few, reason
        n_seen = self.site_people_.get(site or "", 0)
        why = why_pooled(site, n_seen, self.min_site_scans)
        reason = why if self.site_aware else "norms do not look at sites"
        return POOLED, len(self.fitted_on_), self.n_people_, n_features, reason

    def _scale(self, site: str) -> tuple["pd.Series[float]", "pd.Series[float]"]:
        """Centre and spread of every feature, at a site or (empty string) pooled."""
        pooled = centre_and_spread(self.table_, robust=self.robust)
        if not site:
            return pooled
        own = self.site_tables_[site]
        enough = own["n"] >= self.min_site_scans
        centre, spread = centre_and_spread(own, robust=self.robust)
        return centre.where(enough, pooled[0]), spread.where(enough, pooled[1])

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
        check_is_fitted(other)
        require_mergeable(vars(self), vars(other), self.get_params())
        merged = CohortNorms(**self.get_params())
        merged.parcellation_, merged.order_hash_ = self.parcellation_, self.order_hash_
        values = [side.values() for side in (self, other)]
        if values[0] is not None and values[1] is not None:
            whole = pd.concat([values[0], values[1][values[0].columns]])
            sites, subjects = self.sites_ | other.sites_, self.subjects_ | other.subjects_
            return merged._learn(whole, sites, subjects)
        return merged._restore(combined(vars(self), vars(other)), None)

    def values(self) -> "pd.DataFrame | None":
        """Return the features that the norms were fitted on, where they are still at hand.

        Raises
        ------
        InputError
            If the values file beside the norms is not the one saved with them.
        """
        stored = self._values
        return stored.read() if isinstance(stored, StoredValues) else stored

    def _restore(self, fitted: Mapping[str, Any], values: StoredValues | None) -> "CohortNorms":
        """Take over fitted attributes, by name."""
        self._values = values
        for name, value in fitted.items():
            setattr(self, name, value)
        return self

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
        own = {site for site in self.site_tables_ if self._norms_of(site)}
        kept = self.values() if values else None
        write_norms(Path(path), self.get_params(), vars(self), own, kept)

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
        options, fitted, values = read_norms(Path(path))
        norms = cls(**options)
        norms.robust = norms.robust if robust is None else robust
        return norms._restore(fitted, values)
