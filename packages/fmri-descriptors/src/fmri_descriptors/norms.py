"""Cohort statistics of features, and z-scores against them."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fmri_descriptors.errors import InputError
from fmri_descriptors.files import read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
"""Version of ``norms.json`` that this package writes and the newest it reads."""

_STATISTICS = ("n", "mean", "sd", "median", "mad")
_NORMAL_MAD = 1.4826  # standard deviation of a normal distribution in units of its MAD


class CohortNorms(TransformerMixin, BaseEstimator):
    """Mean, standard deviation, median and MAD of every feature over a cohort.

    Parameters
    ----------
    robust : bool
        Whether `transform` uses (x - median) / (1.4826 MAD) instead of (x - mean) / sd.

    Attributes
    ----------
    table_ : DataFrame
        One row a feature; columns ``n``, ``mean``, ``sd`` (n - 1 in the denominator), ``median``
        and ``mad``. A feature's missing values do not count.
    fitted_on_ : list of str
        Ids of the scans, sorted.
    parcellation_, order_hash_ : str or None
        Regions that the features were measured on, where the features say so.
    """

    def __init__(self, robust: bool = False) -> None:
        self.robust = robust

    def fit(self, features: "pd.DataFrame", y: None = None) -> "CohortNorms":  # noqa: ARG002
        """Learn the statistics of a cohort.

        Parameters
        ----------
        features : DataFrame
            One row a scan, indexed by scan id, one column a feature.
        y : None
            Ignored, as scikit-learn's pipelines pass it.

        Raises
        ------
        InputError
            If there are fewer than two scans or an id occurs twice.
        """
        import pandas as pd

        if len(features) < 2:
            raise InputError(f"norms: {len(features)} scan; at least 2 are needed for a spread")
        if features.index.has_duplicates:
            raise InputError("norms: a scan id occurs twice; give each scan once")
        median = features.median()
        self.table_ = pd.DataFrame(
            {
                "n": features.count().astype(np.int64),
                "mean": features.mean(),
                "sd": features.std(ddof=1),
                "median": median,
                "mad": (features - median).abs().median(),
            }
        )
        self.fitted_on_ = sorted(str(scan_id) for scan_id in features.index)
        self.parcellation_ = features.attrs.get("parcellation")
        self.order_hash_ = features.attrs.get("order_hash")
        return self

    def transform(self, features: "pd.DataFrame") -> "pd.DataFrame":
        """Return z-scores of the same shape; NaN where a feature is missing or has no spread.

        Parameters
        ----------
        features : DataFrame
            One row a scan, with the columns of the cohort.

        Raises
        ------
        InputError
            If the columns or the region order differ, or the robust statistics were lost by a
            merge.
        """
        check_is_fitted(self)
        self._require_same_features(features.columns, features.attrs.get("order_hash"))
        centre, spread = self._centre_and_spread()
        spread = spread.where(spread > np.finfo(np.float64).eps * centre.abs())
        z = (features - centre) / spread
        z.attrs = dict(features.attrs)
        return z

    def merge(self, other: "CohortNorms") -> "CohortNorms":
        """Return the norms of two cohorts together.

        ``n``, ``mean`` and ``sd`` equal those of one fit on all scans (Chan, Golub and LeVeque
        1983). ``median`` and ``mad`` cannot be had from two summaries, so the merged norms leave
        them out (NaN), and ``robust=True`` then raises.

        Parameters
        ----------
        other : CohortNorms
            Norms of other scans, on the same features.

        Raises
        ------
        InputError
            If features or region order differ, or a scan is in both.
        """
        check_is_fitted(self)
        self._require_same_features(other.table_.index, other.order_hash_)
        both = sorted(set(self.fitted_on_).intersection(other.fitted_on_))
        if both:
            raise InputError(f"norms: scan {both[0]!r} is in both; merge norms of different scans")
        merged = CohortNorms(robust=self.robust)
        merged.table_ = _merged(self.table_, other.table_)
        merged.fitted_on_ = sorted([*self.fitted_on_, *other.fitted_on_])
        merged.parcellation_, merged.order_hash_ = self.parcellation_, self.order_hash_
        return merged

    def _centre_and_spread(self) -> tuple["pd.Series[float]", "pd.Series[float]"]:
        if not self.robust:
            return self.table_["mean"], self.table_["sd"]
        if self.table_["median"].isna().any():
            raise InputError(
                "norms: merged norms have no median and MAD; use robust=False, or fit on all scans"
            )
        return self.table_["median"], _NORMAL_MAD * self.table_["mad"]

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

    def save(self, path: Path) -> None:
        """Write the norms as JSON.

        Parameters
        ----------
        path : Path
            The file, usually ``norms.json``.
        """
        check_is_fitted(self)
        document = {
            "schema": SCHEMA,
            "parcellation": self.parcellation_,
            "order_hash": self.order_hash_,
            "fitted_on": self.fitted_on_,
            "features": {
                str(feature): {name: _plain(row[name]) for name in _STATISTICS}
                for feature, row in self.table_.iterrows()
            },
        }
        write_json(document, Path(path))

    @classmethod
    def load(cls, path: Path, *, robust: bool = False) -> "CohortNorms":
        """Return the norms that `save` wrote.

        Raises
        ------
        InputError
            If the file is missing, damaged, or of a newer schema.
        """
        import pandas as pd

        document = read_json(Path(path))
        if document.get("schema") != SCHEMA:
            raise InputError(
                f"{path}: schema {document.get('schema')!r}, but this version reads {SCHEMA}; "
                "upgrade fmri-descriptors"
            )
        norms = cls(robust=robust)
        try:
            table = pd.DataFrame(dict(document["features"])).T
            norms.table_ = table[list(_STATISTICS)].astype(np.float64).astype({"n": np.int64})
            norms.fitted_on_ = list(document["fitted_on"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: no norms ({error}); describe the cohort again") from error
        norms.parcellation_ = document.get("parcellation")
        norms.order_hash_ = document.get("order_hash")
        return norms


def _plain(value: Any) -> float | int | None:
    number = float(value)
    if not np.isfinite(number):
        return None
    return int(number) if isinstance(value, int | np.integer) else number


def _merged(a: "pd.DataFrame", b: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    b = b.loc[a.index]
    n = a["n"] + b["n"]
    # A side without values has NaN for a mean; it weighs nothing.
    mean_a, mean_b = (side["mean"].where(side["n"] > 0, 0.0) for side in (a, b))
    squares = sum(
        (side["sd"].fillna(0.0) ** 2 * (side["n"] - 1)).clip(lower=0.0) for side in (a, b)
    )
    difference = mean_b - mean_a
    both = n.where(n > 0)
    mean = (mean_a * a["n"] + mean_b * b["n"]) / both
    squares = squares + difference**2 * a["n"] * b["n"] / both
    lost = pd.Series(np.nan, index=a.index)
    return pd.DataFrame(
        {
            "n": n,
            "mean": mean,
            "sd": np.sqrt(squares / (n - 1).where(n > 1)),
            "median": lost,
            "mad": lost,
        }
    )
