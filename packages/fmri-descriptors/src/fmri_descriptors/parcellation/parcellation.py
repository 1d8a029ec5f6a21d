"""Ordered regions with their networks: the order is data, and it has a hash."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.table import read_region_table

TABLES = Path(__file__).with_name("tables")


@dataclass(frozen=True)
class Parcellation:
    """An ordered list of regions, each in one network.

    Parameters
    ----------
    name : str
        Name of the parcellation.
    labels : sequence of str, length N
        Region names, in the order of a scan's columns.
    networks : sequence of str, length N
        Network of each region.
    hemispheres : sequence of str, length N
        ``"L"``, ``"R"`` or ``"B"`` (midline or both) of each region.
    centroids : sequence of (float, float, float), length N, optional
        Centre of each region in MNI space, in mm.

    Raises
    ------
    InputError
        If the lists differ in length, are empty, or a label occurs twice.
    """

    name: str
    labels: tuple[str, ...]
    networks: tuple[str, ...]
    hemispheres: tuple[str, ...]
    centroids: tuple[tuple[float, float, float], ...] | None = None

    def __post_init__(self) -> None:
        for column in ("labels", "networks", "hemispheres"):
            object.__setattr__(self, column, tuple(getattr(self, column)))
        counts = (len(self.labels), len(self.networks), len(self.hemispheres))
        if len(set(counts)) != 1 or not self.labels:
            raise InputError(
                f"parcellation '{self.name}': {counts[0]} labels, {counts[1]} networks and "
                f"{counts[2]} hemispheres; give one of each for every region"
            )
        if self.centroids is not None and len(self.centroids) != len(self.labels):
            raise InputError(
                f"parcellation '{self.name}': {len(self.centroids)} centroids for "
                f"{len(self.labels)} regions; give one for every region"
            )
        repeated = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if repeated:
            raise InputError(
                f"parcellation '{self.name}': label {repeated[0]!r} occurs twice; "
                "region names must differ"
            )

    @property
    def n_regions(self) -> int:
        """Number of regions N."""
        return len(self.labels)

    @cached_property
    def network_names(self) -> tuple[str, ...]:
        """Networks in the order in which the regions first mention them, length K."""
        return tuple(dict.fromkeys(self.networks))

    @cached_property
    def membership(self) -> NDArray[np.bool_]:
        """Which region is in which network, (K, N)."""
        networks = np.asarray(self.networks)
        return np.stack([networks == network for network in self.network_names])

    @cached_property
    def order_hash(self) -> str:
        """Hash of the ordered labels; two parcellations with the same order share it."""
        return hashlib.sha256("\n".join(self.labels).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, object]:
        """Return the plain form that the files of this package carry."""
        document: dict[str, object] = {
            "parcellation": self.name,
            "n_regions": self.n_regions,
            "order_hash": self.order_hash,
            "labels": list(self.labels),
            "networks": list(self.networks),
            "hemispheres": list(self.hemispheres),
        }
        if self.centroids is not None:
            document["centroids"] = [list(centroid) for centroid in self.centroids]
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, object], where: str) -> "Parcellation":
        """Return the parcellation that `to_dict` wrote.

        Parameters
        ----------
        document : mapping
            What was read.
        where : str
            File that it was read from, for the error's message.

        Raises
        ------
        InputError
            If a part is missing or the labels do not give the stored hash.
        """
        try:
            parcellation = cls(
                str(document["parcellation"]),
                _strings(document["labels"]),
                _strings(document["networks"]),
                _strings(document["hemispheres"]),
                _centroids(document.get("centroids"), where),
            )
            stored = document["order_hash"]
        except KeyError as error:
            raise InputError(f"{where}: no {error} entry; make the file again") from error
        if parcellation.order_hash != stored:
            raise InputError(
                f"{where}: order_hash {stored}, but its labels give {parcellation.order_hash}; "
                "the region order was edited, so make the file again"
            )
        return parcellation


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, Sequence):
        raise InputError(f"a list of names is needed, found {value!r}")
    return tuple(str(item) for item in value)


def _centroids(value: object, where: str) -> tuple[tuple[float, float, float], ...] | None:
    if value is None:
        return None
    try:
        points = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError(f"{where}: centroids are not rows of three numbers; make the file again")
    return tuple((float(x), float(y), float(z)) for x, y, z in points)


def parcellation_names() -> tuple[str, ...]:
    """Names of the parcellations that ship with the package, sorted."""
    return tuple(sorted(path.stem for path in TABLES.glob("*.tsv")))


def load_parcellation(name: str | Path) -> Parcellation:
    """Return a parcellation that ships with the package, or one of your own.

    Parameters
    ----------
    name : str or Path
        One of `parcellation_names`: ``"tian3-schaefer400-7n"`` (450 regions),
        ``"schaefer400-7n"``, ``"schaefer100-7n"`` or ``"aal2"`` (the 94 cerebral regions). Or the
        path of a ``.tsv`` table with the columns ``label`` and ``network``, and optionally
        ``hemisphere`` (``L``, ``R`` or ``B``) and ``x``, ``y``, ``z`` (mm, MNI); its name is then
        the file's without ``.tsv``.

    Raises
    ------
    InputError
        If the name is not known, the table is malformed, or it bears the name of a parcellation
        that ships but has other regions.

    Examples
    --------
    >>> load_parcellation("aal2").n_regions
    94
    """
    if str(name).endswith(".tsv"):
        return _own(Path(name))
    known = parcellation_names()
    if name not in known:
        raise InputError(
            f"parcellation: {str(name)!r} is not known; give one of {', '.join(known)}, or a .tsv "
            "table of your own"
        )
    return _shipped(str(name))


@lru_cache(maxsize=8)
def _shipped(name: str) -> Parcellation:
    return Parcellation(name, *read_region_table(TABLES / f"{name}.tsv"))


def _own(path: Path) -> Parcellation:
    parcellation = Parcellation(path.stem, *read_region_table(path))
    shipped = path.stem in parcellation_names()
    # Templates and reports know the shipped orders by their names.
    if shipped and parcellation.order_hash != _shipped(path.stem).order_hash:
        raise InputError(
            f"{path}: {path.stem!r} is the name of a parcellation that ships and has other "
            "regions; rename the file"
        )
    return parcellation


def require_same_order(found: Parcellation, expected: Parcellation, what: str) -> None:
    """Raise if two region orders differ.

    Parameters
    ----------
    found, expected : Parcellation
        Orders to compare, by hash.
    what : str
        What carries `found`, for the message.
    """
    if found.order_hash != expected.order_hash:
        raise InputError(
            f"{what}: regions are in the order of '{found.name}' ({found.order_hash}), but "
            f"'{expected.name}' ({expected.order_hash}) is expected; use one throughout"
        )
