"""The same person in two sessions, by descriptors, embeddings and codes.

The recordings are four files inside the wheel of cubnm: two people of the Human Connectome
Project, two sessions each, 1,200 frames, 100 regions. Each scan has one right neighbour among three
others. Were the neighbours drawn by lot, all four would be right once in 3 ** 4 = 81 times, and
three or more once in 9. With two people, the tests say that a session need not hide the person, and
nothing of how well people are told apart in a larger group.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fmri_descriptors import (
    CohortSettings,
    DescribeSettings,
    FeatureSettings,
    describe_cohort,
    load_parcellation,
    write_cohort,
)
from fmri_descriptors.readers.base import Recording, Source
from fmri_instruct.baselines.scan_features import read_features
from fmri_llm.brain_input.scans import BrainScans, connectome, scan_covariance
from fmri_vqtok import FMRITokenizer, FMRITokenizerConfig, TimeSeriesProcessor
from fmri_vqtok.formats.cohort import Cohort

TR = 0.72  # s, the resting-state protocol of the Human Connectome Project
SESSIONS = ("REST1_LR", "REST2_LR")
FOUND = importlib.util.find_spec("cubnm")

pytestmark = pytest.mark.skipif(FOUND is None, reason="the recordings are in the wheel of cubnm")


def read_bold(path, _):
    return np.load(path)["arr_0"].T  # stored as (N, T)


def recordings():
    root = Path(FOUND.origin).parent / "data" / "hcp" / "bold"
    return tuple(
        Recording(
            path=path,
            name=path.relative_to(root).as_posix(),
            scan_id=f"{path.parts[-3]}_{path.parts[-2]}",
            subject=path.parts[-3],
            session=path.parts[-2],
            site="hcp",
            tr=TR,
            read=read_bold,
        )
        for path in sorted(root.glob("*/*/*_desc-bold.npz"))
    )


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """All four scans as training scans: nothing is learned of who they are."""
    directory = tmp_path_factory.mktemp("cubnm") / "cohort"
    found = recordings()
    source = Source(
        "cubnm", found, tuple(each.path for each in found), parcellation="schaefer100-7n"
    )
    settings = CohortSettings(test_fraction=0, validation_fraction=0)
    directory.mkdir()
    write_cohort(source, directory, settings)
    return directory


@pytest.fixture(scope="module")
def tokenizer(cohort):
    """A small tokenizer whose codebook was laid out on the scans, and their windows."""
    scans = list(Cohort(cohort).scans("train"))
    processor = TimeSeriesProcessor(80, 2.0).fit([s.bold for s in scans], [s.tr for s in scans])
    windows = {scan.scan_id: processor(scan.bold, scan.tr)[0] for scan in scans}
    config = FMRITokenizerConfig.preset(
        "tiny", n_regions=100, n_frames=80, patch_frames=16, n_codes=64
    )
    torch.manual_seed(0)
    made = FMRITokenizer(config, processor)
    made.initialise(torch.cat(list(windows.values())), torch.Generator().manual_seed(0))
    return made.eval(), windows


def neighbours(vectors):
    """By scan, the scan that is most like it, after what all have in common was taken out."""
    names = list(vectors)
    rows = np.array([vectors[name] for name in names])
    likeness = np.corrcoef(rows - rows.mean(axis=0))
    np.fill_diagonal(likeness, -2)
    return {name: names[place] for name, place in zip(names, likeness.argmax(axis=1), strict=True)}


def other_session(scan_id):
    person, session = scan_id.split("_", 1)
    return f"{person}_{SESSIONS[session == SESSIONS[0]]}"


def n_found_again(vectors):
    assert len(vectors) == 4
    return sum(near == other_session(scan) for scan, near in neighbours(vectors).items())


def test_the_order_of_the_regions_is_that_of_the_atlas_with_seven_networks(cohort):
    # The files name no regions: had they another order, networks would not hold together.
    networks = np.array(load_parcellation("schaefer100-7n").networks)
    pairs = np.triu_indices(100, k=1)
    same = (networks[:, None] == networks)[pairs]
    mean = read_features(cohort).features["connectome"].mean(axis=0)
    shuffled = np.random.default_rng(0).permutation(networks)
    by_chance = (shuffled[:, None] == shuffled)[pairs]
    assert mean[same].mean() - mean[~same].mean() > 0.2
    assert abs(mean[by_chance].mean() - mean[~by_chance].mean()) < 0.05


def test_descriptors_find_three_of_the_four_scans_again(cohort, tmp_path):
    features = FeatureSettings(ica_components=10, gradient_components=5, louvain_runs=1)
    describe_cohort(cohort, tmp_path, DescribeSettings(features=features))
    table = pd.read_parquet(tmp_path / "features.parquet")
    table = table.set_index("scan_id") if "scan_id" in table else table
    numbers = table.select_dtypes("number").dropna(axis=1)
    varying = numbers.loc[:, numbers.std() > 0]
    scaled = ((varying - varying.mean()) / varying.std()).to_numpy()
    found = dict(zip(map(str, varying.index), scaled, strict=True))
    # The first session of one of them is nearer to the other person: numbers of whole networks tell
    # less of a person than the connectome does.
    assert n_found_again(found) == 3


def test_embeddings_find_the_same_person_again(tokenizer):
    made, windows = tokenizer
    with torch.no_grad():
        found = {
            scan: made.embed(x, "connectome").mean(dim=0).numpy() for scan, x in windows.items()
        }
    assert n_found_again(found) == 4


def test_codes_alone_find_the_same_person_again(tokenizer):
    made, windows = tokenizer
    found = {}
    for scan, x in windows.items():
        with torch.no_grad():
            codes = made.encode(x).codes.flatten(0, 1)[None]
        scans = BrainScans.of(codes)
        found[scan] = connectome(scan_covariance(made, scans), scans.region_mask)[0].numpy()
    assert n_found_again(found) == 4
