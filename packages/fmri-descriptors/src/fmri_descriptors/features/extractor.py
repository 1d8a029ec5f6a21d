"""All features of scans: what is fitted on a training cohort, and one row a scan."""

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from fmri_descriptors.errors import InputError
from fmri_descriptors.features.availability import (
    FALFF_STEMS,
    RATIO_STEMS,
    TOO_FEW_REGIONS,
    domain_stems,
    reasons_without_component,
    shown_bands,
    unavailable_spectra,
)
from fmri_descriptors.features.connectivity import correlation, network_pair_connectivity
from fmri_descriptors.features.gradients.gradients import N_GRADIENTS, scan_gradients
from fmri_descriptors.features.gradients.reference import reference_correlations
from fmri_descriptors.features.gradients.template import gradient_template, schaefer400_connectivity
from fmri_descriptors.features.graph.measures import graph_measures
from fmri_descriptors.features.group_mean import CohortMean
from fmri_descriptors.features.ica.components import component_measures
from fmri_descriptors.features.ica.ica import NOT_CONVERGED, GroupMaps, component_rows, group_ica
from fmri_descriptors.features.ica.spatial_maps import read_spatial_maps
from fmri_descriptors.features.networks import network_means, pair_indices
from fmri_descriptors.parcellation.parcellation import Parcellation, require_same_order
from fmri_descriptors.registry import feature_columns, pairs
from fmri_descriptors.scan import Scan
from fmri_descriptors.settings import FeatureSettings
from fmri_descriptors.utils.files import read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 2
"""Version of the files that `FeatureExtractor.save` writes and the newest it reads."""

_ARRAYS = ("template", "maps", "networks", "overlap", "energy")
_BANDS = ("falff_total_hz", "ratio_high_hz")

_logger = logging.getLogger(__name__)


class FeatureExtractor(TransformerMixin, BaseEstimator):
    """Scans to the features behind the 23 descriptors.

    Fitting learns the gradient template (diffusion map of the mean connectivity) and the group
    ICA maps, in one pass over the scans; memory does not grow with their number. Settings can
    name a published template and a table of maps instead.

    Parameters
    ----------
    settings : FeatureSettings, optional
        How a scan is measured; the defaults of `FeatureSettings` if not given.
    seed : int
        Seed of FastICA and, with each scan's id, of Louvain.

    Attributes
    ----------
    parcellation_ : Parcellation
        Regions of the scans it was fitted on.
    template_ : ndarray, (N, gradient_components)
        Diffusion components that the gradients of a scan are aligned to.
    group_maps_ : GroupMaps
        Independent components of the training cohort, or the user's maps.
    measured_with_ : FeatureSettings
        The settings, with bands that the training scans can show (see `shown_bands`).
    fitted_on_ : list of str
        Ids of the scans it was fitted on, sorted.

    Examples
    --------
    >>> features = FeatureExtractor().fit(training).transform(scans)  # doctest: +SKIP
    """

    def __init__(self, settings: FeatureSettings | None = None, seed: int = 0) -> None:
        self.settings = settings
        self.seed = seed

    def fit(self, scans: Iterable[Scan], y: None = None) -> "FeatureExtractor":  # noqa: ARG002
        """Learn the gradient template and the group ICA maps.

        Parameters
        ----------
        scans : iterable of Scan
            Training scans; read once, one at a time.
        y : None
            Ignored, as scikit-learn's pipelines pass it.

        Raises
        ------
        InputError
            If there is no scan, regions differ in order, or a setting does not fit the regions.
        """
        settings = self._resolved()
        with threadpool_limits(limits=1):  # the same bits whatever the number of cores
            mean, trs = CohortMean(), []
            for scan in scans:
                if not mean.scan_ids:
                    _require_fitting(scan.parcellation, settings)
                mean.add(scan)
                trs.append(scan.tr)
            self.measured_with_ = shown_bands(trs, settings)
            self.parcellation_ = mean.parcellation
            self.fitted_on_ = sorted(mean.scan_ids)
            self.template_ = gradient_template(mean.connectivity(), self.parcellation_, settings)
            self.group_maps_ = self._maps(mean.covariance(), settings)
        if not self.group_maps_.converged:
            _logger.warning("group ICA: %s", NOT_CONVERGED)
        return self

    def transform(self, scans: Iterable[Scan]) -> "pd.DataFrame":
        """Return one row of features a scan, indexed by ``scan_id``.

        Parameters
        ----------
        scans : iterable of Scan
            Read once, one at a time.

        Returns
        -------
        DataFrame
            Columns of `get_feature_names_out`; NaN where a masked network has no value, or a
            recording cannot show a feature. Its ``attrs`` carry the parcellation's name and
            order hash, and as ``reasons``, by scan id, which columns or stems of columns are
            missing and why, for scans that have any.

        Raises
        ------
        InputError
            If a scan's regions differ from those fitted on.
        """
        import pandas as pd

        check_is_fitted(self)
        rows: dict[str, dict[str, float]] = {}
        reasons: dict[str, dict[str, str]] = {}
        with threadpool_limits(limits=1):  # the same bits whatever the number of cores
            for scan in scans:
                if scan.scan_id in rows:
                    raise InputError(f"{scan.scan_id}: given twice; scan ids must differ")
                rows[scan.scan_id], reasons[scan.scan_id] = self._measure(scan)
        index = pd.Index(list(rows), name="scan_id", dtype=object)
        columns = list(self.get_feature_names_out())
        frame = pd.DataFrame(
            [[row.get(column, np.nan) for column in columns] for row in rows.values()],
            index=index,
            columns=columns,
            dtype=np.float64,
        )
        frame.attrs = {
            "parcellation": self.parcellation_.name,
            "order_hash": self.parcellation_.order_hash,
            "reasons": {scan_id: why for scan_id, why in reasons.items() if why},
        }
        return frame

    @property
    def reference_r_(self) -> list[float | None]:
        """Correlations of the template's gradients with a published one."""
        return reference_correlations(self.template_, self.parcellation_)

    @property
    def reasons_(self) -> dict[str, str]:
        """Columns that no scan has, and why: those of networks without a component."""
        names = self.parcellation_.network_names
        absent = [names[number] for number in self.group_maps_.without]
        return reasons_without_component(absent, self.parcellation_)

    def get_feature_names_out(self, input_features: None = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Names of the feature columns, in order."""
        check_is_fitted(self)
        return np.asarray(feature_columns(self.parcellation_), dtype=object)

    def _measure(self, scan: Scan) -> tuple[dict[str, float], dict[str, str]]:
        """Features of a scan, and why some are missing."""
        require_same_order(scan.parcellation, self.parcellation_, scan.scan_id)
        settings = self.measured_with_
        connectivity = correlation(scan)
        reasons = unavailable_spectra(scan, settings)
        features = {
            **self._connectivity(connectivity),
            **self._graph(connectivity, scan.scan_id, settings),
        }
        parts: dict[str, Callable[[], dict[str, float]]] = {
            "gradients": lambda: self._gradients(connectivity, settings),
            "ICA": lambda: self._components(scan, settings, reasons),
        }
        for domain, measure in parts.items():
            try:
                features |= measure()
            except InputError:  # what stays of the recording is too little for this domain
                reasons |= dict.fromkeys(domain_stems(domain), TOO_FEW_REGIONS)
        return features, reasons

    def _maps(self, covariance: NDArray[np.float64], settings: FeatureSettings) -> GroupMaps:
        if settings.ica_maps:
            return read_spatial_maps(Path(settings.ica_maps), self.parcellation_)
        membership = self.parcellation_.membership
        return group_ica(
            covariance,
            membership,
            settings.ica_components,
            self.seed,
            (settings.ica_least_overlap, settings.ica_least_energy),
        )

    def _resolved(self) -> FeatureSettings:
        return self.settings if self.settings is not None else FeatureSettings()

    def _connectivity(self, connectivity: NDArray[np.float64]) -> dict[str, float]:
        means = network_pair_connectivity(connectivity, self.parcellation_.membership)
        return self._by_pair("fc", means, within=True)

    def _gradients(
        self, connectivity: NDArray[np.float64], settings: FeatureSettings
    ) -> dict[str, float]:
        maps = scan_gradients(connectivity, self.template_, settings.gradient_sparsity)
        features: dict[str, float] = {}
        for number in range(N_GRADIENTS):
            stem, gradient = f"gradient{number + 1}", maps[:, number]
            features |= self._by_network(
                stem, network_means(gradient, self.parcellation_.membership)
            )
            features[f"{stem}.range"] = float(np.nanmax(gradient) - np.nanmin(gradient))
            features[f"{stem}.variance"] = float(np.nanvar(gradient))
        return features

    def _components(
        self, scan: Scan, settings: FeatureSettings, reasons: dict[str, str]
    ) -> dict[str, float]:
        measures = component_measures(
            scan,
            self.group_maps_,
            self.parcellation_.membership,
            settings,
            with_falff=FALFF_STEMS[0] not in reasons,
            with_ratio=RATIO_STEMS[0] not in reasons,
        )
        features: dict[str, float] = {}
        for name in ("amplitude", "variability", "spectral_ratio", "falff"):
            values = getattr(measures, name)
            features |= self._by_network(f"ica.{name}", values)
            if name != "falff":
                present = values[np.isfinite(values)]
                features[f"ica.overall_{name}"] = float(present.mean()) if present.size else np.nan
        return features | self._by_pair("ica.fnc", measures.coupling, within=False)

    def _graph(
        self, connectivity: NDArray[np.float64], scan_id: str, settings: FeatureSettings
    ) -> dict[str, float]:
        measures = graph_measures(connectivity, settings, _scan_seed(self.seed, scan_id))
        strength = network_means(measures.strength, self.parcellation_.membership)
        return {
            **self._by_network("graph.network_strength", strength),
            "graph.modularity": measures.modularity,
            "graph.global_efficiency": measures.global_efficiency,
            "graph.mean_clustering": measures.mean_clustering,
        }

    def _by_network(self, stem: str, values: NDArray[np.float64]) -> dict[str, float]:
        names = self.parcellation_.network_names
        return {f"{stem}.{name}": float(value) for name, value in zip(names, values, strict=True)}

    def _by_pair(self, stem: str, values: NDArray[np.float64], *, within: bool) -> dict[str, float]:
        names = pairs(self.parcellation_, within=within)
        indices = pair_indices(len(values), within=within)
        return {
            f"{stem}.{a}-{b}": float(values[index])
            for (a, b), index in zip(names, indices, strict=True)
        }

    def save(self, directory: Path) -> None:
        """Write ``extractor.npz`` and ``extractor.json`` into a directory.

        Parameters
        ----------
        directory : Path
            An existing directory.
        """
        check_is_fitted(self)
        np.savez(
            Path(directory) / "extractor.npz",
            template=self.template_,
            maps=self.group_maps_.maps,
            networks=self.group_maps_.networks,
            overlap=self.group_maps_.overlap,
            energy=self.group_maps_.energy,
        )
        settings = self._resolved()
        document = {
            "schema": SCHEMA,
            # The maps themselves are saved, and a path of this machine would differ elsewhere.
            "settings": {**asdict(settings), "ica_maps": Path(settings.ica_maps).name},
            "measured_with": {key: getattr(self.measured_with_, key) for key in _BANDS},
            "gradient_reference_r": self.reference_r_,
            "seed": self.seed,
            "fitted_on": self.fitted_on_,
            "ica_converged": self.group_maps_.converged,
            "ica_components": component_rows(self.group_maps_, self.parcellation_.network_names),
            **self.parcellation_.to_dict(),
        }
        write_json(document, Path(directory) / "extractor.json")

    @classmethod
    def load(cls, directory: Path) -> "FeatureExtractor":
        """Return the extractor that `save` wrote into a directory.

        Raises
        ------
        InputError
            If a file is missing, damaged, or of a newer schema.
        """
        path = Path(directory) / "extractor.json"
        document = read_json(path)
        schema = document.get("schema")
        if schema != SCHEMA:
            fix = "describe the cohort again" if schema == 1 else "upgrade fmri-descriptors"
            raise InputError(f"{path}: schema {schema!r}, but this version reads {SCHEMA}; {fix}")
        arrays = _read_arrays(Path(directory) / "extractor.npz")
        extractor = cls(FeatureSettings(**document["settings"]), int(document["seed"]))
        extractor.measured_with_ = replace(extractor._resolved(), **document["measured_with"])
        extractor.parcellation_ = Parcellation.from_dict(document, str(path))
        extractor.fitted_on_ = list(document["fitted_on"])
        extractor.template_ = arrays["template"]
        extractor.group_maps_ = GroupMaps(
            **{name: arrays[name] for name in _ARRAYS[1:]},
            converged=bool(document["ica_converged"]),
        )
        return extractor


def _require_fitting(parcellation: Parcellation, settings: FeatureSettings) -> None:
    """Raise, before a long cohort is read, if a template or maps are of other regions."""
    if settings.gradient_template == "schaefer400":
        schaefer400_connectivity(parcellation)
    if settings.ica_maps:
        read_spatial_maps(Path(settings.ica_maps), parcellation)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    from zipfile import BadZipFile

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(f"{path}: cannot be read ({error}); describe the cohort again") from error


def _scan_seed(seed: int, scan_id: str) -> int:
    """Seed of one scan, so that adding a scan changes no other scan's numbers."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{scan_id}".encode()).digest()[:3], "big")
