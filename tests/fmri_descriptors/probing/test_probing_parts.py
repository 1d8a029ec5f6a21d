"""Folds, scores, the choice of a model, and what is read and written, each by itself."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import norm
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from fmri_descriptors import (
    CohortSettings,
    DescribeSettings,
    FeatureSettings,
    InputError,
    describe_cohort,
    open_source,
    write_cohort,
)
from fmri_descriptors.probing import (
    EncoderSettings,
    EvaluateDescriptorsSettings,
    evaluate_descriptors,
    find_text_classifier,
    read_tables,
)
from fmri_descriptors.probing.folds import make_folds
from fmri_descriptors.probing.scores import (
    auc_within_folds,
    bootstrap,
    class_statistics,
    number_statistics,
)
from fmri_descriptors.simulate import SimulateSettings, Site, write_simulation

QUICK = EvaluateDescriptorsSettings(
    folds=3,
    repeats=1,
    bootstrap_resamples=50,
    text_strengths=(10.0,),
    table_strengths=(0.01,),
    keep_best=(5,),
)

AAL2 = CohortSettings(parcellation="aal2")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A simulated cohort and its descriptors on disk."""
    root = tmp_path_factory.mktemp("informative")
    for name in ("simulation", "cohort", "descriptors"):
        (root / name).mkdir()
    site = Site(name="one", tr=2.0, n_frames=120, noise=0.0)
    settings = SimulateSettings(n_subjects=24, sites=(site,), scans_per_subject=2)
    write_simulation(root / "simulation", settings, seed=0)
    write_cohort(open_source(str(root / "simulation/scans.tsv")), root / "cohort", AAL2)
    features = FeatureSettings(louvain_runs=1)
    describe_cohort(root / "cohort", root / "descriptors", DescribeSettings(features=features))
    return root / "cohort", root / "descriptors"


@pytest.fixture(scope="module")
def evaluation(folders):
    return evaluate_descriptors(*folders, "diagnosis", QUICK, seed=0)


def folds_of(target, site, subject, kind="category", n_folds=5):
    return make_folds(target, site, subject, kind=kind, n_folds=n_folds, seed=0)


def test_no_subject_is_in_two_folds():
    subject = [f"s{i // 3}" for i in range(90)]
    target = [("a", "b")[i // 3 % 2] for i in range(90)]
    folds = folds_of(target, ["x"] * 90, subject)
    of_subject = {}
    for name, fold in zip(subject, folds.number, strict=True):
        of_subject.setdefault(name, set()).add(fold)
    assert all(len(found) == 1 for found in of_subject.values())


def test_every_fold_holds_each_class_of_each_site_where_there_are_enough():
    n = 100
    target, site = (
        np.array(["a", "b"])[np.arange(n) % 2],
        np.array(["x", "y"])[np.arange(n) // 50],
    )
    folds = folds_of(target.tolist(), site.tolist(), [f"s{i}" for i in range(n)])
    assert folds.stratified_by == ("target", "site")
    for fold in range(5):
        here = folds.number == fold
        assert all(
            (here & (target == k) & (site == w)).sum() == 5 for k in ("a", "b") for w in ("x", "y")
        )


def test_a_site_with_too_few_subjects_is_not_stratified():
    site = ["x"] * 38 + ["y"] * 2
    folds = folds_of(["a", "b"] * 20, site, [f"s{i}" for i in range(40)])
    assert folds.stratified_by == ("target",)


def test_folds_are_as_many_as_the_rarest_class_has_subjects():
    folds = folds_of(["a"] * 20 + ["b"] * 3, ["x"] * 23, [f"s{i}" for i in range(23)])
    assert folds.n_folds == 3


def test_a_number_of_a_single_subject_is_refused():
    with pytest.raises(InputError, match="there is 1 subject"):
        folds_of([1.0, 2.0], ["x", "x"], ["s", "s"], kind="number")


def scored(seed=0, n=60):
    chance = np.random.default_rng(seed)
    truth = chance.integers(2, size=n)
    score = np.round(chance.random(n) + 0.3 * truth, 1)  # rounded, so that there are ties
    return truth, score, chance.integers(4, size=n)


def test_the_auc_of_one_fold_is_that_of_scikit_learn():
    truth, score, _ = scored()
    area = auc_within_folds(truth == 1, score, np.zeros(60, dtype=int))
    assert area(np.arange(60)) == pytest.approx(roc_auc_score(truth, score))


def test_the_auc_of_a_resample_is_that_of_scikit_learn_on_the_resample():
    truth, score, _ = scored()
    rows = np.random.default_rng(1).integers(60, size=60)
    area = auc_within_folds(truth == 1, score, np.zeros(60, dtype=int))
    assert area(rows) == pytest.approx(roc_auc_score(truth[rows], score[rows]))


def test_the_auc_within_folds_weights_folds_by_their_pairs():
    truth, score, folds = scored()
    wins = pairs = 0.0
    for fold in range(4):
        here = folds == fold
        n_pairs = truth[here].sum() * (1 - truth[here]).sum()
        wins += n_pairs * roc_auc_score(truth[here], score[here])
        pairs += n_pairs
    area = auc_within_folds(truth == 1, score, folds)
    assert area(np.arange(60)) == pytest.approx(wins / pairs)


def test_an_offset_of_a_fold_does_not_change_the_auc():
    truth, score, folds = scored()
    plain, shifted = (
        auc_within_folds(truth == 1, s, folds)(np.arange(60)) for s in (score, score + 5 * folds)
    )
    assert plain == pytest.approx(shifted)


def test_the_auc_without_a_pair_is_undefined():
    area = auc_within_folds(np.array([True, False]), np.array([0.1, 0.2]), np.array([0, 1]))
    assert np.isnan(area(np.arange(2)))


def test_balanced_accuracy_is_that_of_scikit_learn():
    chance = np.random.default_rng(0)
    truth, probabilities = chance.integers(3, size=50), chance.dirichlet(np.ones(3), size=50)
    found = class_statistics(truth, probabilities, np.zeros(50, dtype=int))
    expected = balanced_accuracy_score(truth, probabilities.argmax(axis=1))
    assert found["balanced_accuracy"](np.arange(50)) == pytest.approx(expected)


def test_a_resample_without_a_class_leaves_balanced_accuracy_undefined():
    truth = np.array([0, 0, 1, 1])
    constant = np.tile([0.6, 0.4], (4, 1))
    found = class_statistics(truth, constant, np.zeros(4, dtype=int))
    assert np.isnan(found["balanced_accuracy"](np.array([0, 1])))
    assert found["balanced_accuracy"](np.array([0, 1, 2])) == 0.5


def test_the_auc_of_three_classes_is_the_mean_of_one_against_the_rest():
    chance = np.random.default_rng(0)
    truth, probabilities = chance.integers(3, size=50), chance.dirichlet(np.ones(3), size=50)
    found = class_statistics(truth, probabilities, np.zeros(50, dtype=int))["auc"](np.arange(50))
    assert found == pytest.approx(roc_auc_score(truth, probabilities, multi_class="ovr"))


def test_predicting_the_training_mean_has_an_r2_of_zero():
    truth, means = np.array([1.0, 2.0, 4.0]), np.array([2.0, 2.5, 1.5])
    assert number_statistics(truth, means, means)["r2"](np.arange(3)) == 0


def test_the_interval_of_a_mean_is_the_normal_one():
    values = np.random.default_rng(0).standard_normal(400)
    found = bootstrap(
        {"mean": lambda rows: float(values[rows].mean())},
        np.array([f"s{i}" for i in range(400)], dtype=object),
        resamples=2000,
        level=0.95,
        seed=0,
    )["mean"]
    half = norm.ppf(0.975) * values.std() / 20
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.08)


def test_the_interval_is_over_subjects_and_not_over_scans():
    """Ten copies of each subject's scan say no more than one."""
    values = np.random.default_rng(0).standard_normal(60)

    def width(copies):
        repeated = np.repeat(values, copies)
        subjects = np.repeat([f"s{i:02d}" for i in range(60)], copies).astype(object)
        mean = {"mean": lambda rows: float(repeated[rows].mean())}
        found = bootstrap(mean, subjects, resamples=300, level=0.95, seed=0)["mean"]
        return found.high - found.low

    assert width(10) == pytest.approx(width(1))


def test_tables_are_joined_by_scan_id(folders):
    tables = read_tables(*folders, "diagnosis")
    assert list(tables.scans.index) == sorted(tables.scans.index)
    assert len(tables.captions) == len(tables.features) == len(tables.connectomes) == 48
    captions = [
        json.loads(line) for line in (folders[1] / "captions.jsonl").read_text().splitlines()
    ]
    expected = {row["scan_id"]: row["text"] for row in captions if row["domain"] == "all"}
    assert dict(zip(tables.scans.index, tables.captions, strict=True)) == expected


def test_a_connectome_is_the_upper_triangle_of_its_scan(folders):
    from fmri_descriptors import read_cohort
    from fmri_descriptors.features.connectivity import correlation, fisher_z

    tables = read_tables(*folders, "diagnosis")
    scan = next(read_cohort(folders[0]).scans("train"))
    row = tables.scans.index.get_loc(scan.scan_id)
    expected = fisher_z(correlation(scan)[np.triu_indices(94, k=1)])
    np.testing.assert_allclose(tables.connectomes[row], expected, rtol=1e-6)


def test_age_is_taken_for_a_number_and_sex_for_classes(folders):
    assert read_tables(*folders, "age").kind == "number"
    assert read_tables(*folders, "sex").kind == "category"


def test_numbers_are_taken_for_classes_where_asked(folders):
    tables = read_tables(*folders, "age", kind="category")
    assert all(isinstance(value, str) for value in tables.scans["target"])


def test_words_are_not_taken_for_numbers(folders):
    with pytest.raises(InputError, match="use target_kind: category"):
        read_tables(*folders, "sex", kind="number")


def test_an_unknown_phenotype_names_those_that_are_there(folders):
    with pytest.raises(InputError, match=r"'height' is no phenotype of .*; it has sex, diagnosis"):
        read_tables(*folders, "height")


def test_descriptors_of_another_cohort_are_refused(folders, tmp_path):
    lines = (folders[1] / "captions.jsonl").read_text().splitlines()
    (tmp_path / "captions.jsonl").write_text("\n".join(lines[5:]))
    (tmp_path / "features.parquet").write_bytes((folders[1] / "features.parquet").read_bytes())
    with pytest.raises(InputError, match=r"captions\.jsonl lacks scan '.*' \(1 such\)"):
        read_tables(folders[0], tmp_path, "diagnosis")


@pytest.mark.parametrize("damage", [b"", b"{", b'{"scan_id": 1}', b"[]"])
def test_damaged_captions_are_one_line(folders, tmp_path, damage):
    (tmp_path / "features.parquet").write_bytes((folders[1] / "features.parquet").read_bytes())
    (tmp_path / "captions.jsonl").write_bytes(damage)
    with pytest.raises(InputError, match=r"captions\.jsonl") as caught:
        read_tables(folders[0], tmp_path, "diagnosis")
    assert "\n" not in str(caught.value)


def test_damaged_features_are_one_line(folders, tmp_path):
    (tmp_path / "features.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"features\.parquet: cannot be read") as caught:
        read_tables(folders[0], tmp_path, "diagnosis")
    assert "\n" not in str(caught.value)


def test_a_rewritten_text_goes_before_the_template(folders, tmp_path):
    from fmri_descriptors.probing.tables import read_captions

    rows = [
        {"scan_id": "s", "domain": "all", "text": "new", "source": "rewritten"},
        {"scan_id": "s", "domain": "all", "text": "old", "source": "template"},
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_captions(tmp_path / "captions.jsonl", "all") == {"s": "new"}


def test_the_written_scores_are_those_of_the_written_predictions(evaluation, tmp_path):
    evaluation.write(tmp_path)
    document = json.loads((tmp_path / "evaluation.json").read_text())
    [row] = [row for row in document["rows"] if row["method"] == "features"]
    lines = [line.split("\t") for line in (tmp_path / "predictions.tsv").read_text().splitlines()]
    mine = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    mine = [line for line in mine if line["method"] == "features"]
    assert len(mine) == document["n_scans"] == 48
    answers = ["patient" if float(line["patient"]) > 0.5 else "control" for line in mine]
    right = [answer == line["truth"] for answer, line in zip(answers, mine, strict=True)]
    assert row["accuracy"]["value"] == pytest.approx(np.mean(right))


def test_the_page_has_a_line_for_every_method(evaluation, tmp_path):
    evaluation.write(tmp_path)
    page = (tmp_path / "evaluation.md").read_text()
    for method in ("captions", "features", "connectome", "majority"):
        assert f"\n| {method} | 0." in page
    assert "48 scans of 24 subjects" in page


def test_equal_evaluations_have_equal_bytes(folders, evaluation, tmp_path, tree):
    for name, result in (
        ("first", evaluation),
        ("second", evaluate_descriptors(*folders, "diagnosis", QUICK, seed=0)),
    ):
        (tmp_path / name).mkdir()
        result.write(tmp_path / name)
    assert tree(tmp_path / "first") == tree(tmp_path / "second")


def test_a_provider_that_is_not_installed_is_told_with_what_provides_one():
    with pytest.raises(InputError, match=r"'nobody' is not installed .*pip install fmri-llm"):
        find_text_classifier("nobody")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"target_kind": "ordinal"}, "target_kind: 'ordinal'; give 'auto'"),
        ({"domain": "EEG"}, "domain: 'EEG'"),
        ({"folds": 1}, "folds: 1; give at least 2"),
        ({"table_strengths": ()}, "table_strengths"),
        ({"text_strengths": (0.0,)}, "text_strengths"),
        ({"keep_best": (-1,)}, "keep_best"),
        ({"interval": 1.0}, "interval: 1.0"),
        ({"bootstrap_resamples": 0}, "bootstrap_resamples: 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        EvaluateDescriptorsSettings(**values)


@pytest.mark.parametrize("values", [{"epochs": 0}, {"learning_rate": 2.0}, {"max_tokens": 0}])
def test_encoder_settings_that_make_no_sense_are_refused(values):
    with pytest.raises(InputError, match=f"^{next(iter(values))}: "):
        EncoderSettings(**values)


class Context:
    """Stands in for what fmri-cli hands a command."""

    def __init__(self, directory, settings):
        self.directory, self.settings, self.seed = directory, settings, 0
        self.progress, self.summary, self.seen = (lambda *_: None), "", {}

    def run(self, work, settings_class, resumable=False, working_folders=(), **inputs):
        assert isinstance(self.settings, settings_class)
        self.seen = inputs
        self.summary = work(self, **inputs)


def test_the_command_writes_the_evaluation(folders, tmp_path):
    from fmri_descriptors.commands import evaluate_descriptors as command

    context = Context(tmp_path, QUICK)
    arguments = [*map(str, folders), "--target", "sex"]
    CliRunner().invoke(command, arguments, obj=context, catch_exceptions=False)
    assert context.seen["target"] == "sex"
    assert context.seen["text_encoder"] is None
    assert {path.name for path in tmp_path.iterdir()} == {
        "evaluation.json",
        "evaluation.md",
        "predictions.tsv",
    }


@pytest.mark.slow
def test_the_simulate_command_writes_the_same_bytes_with_two_processes(tmp_path, tree):
    from fmri_descriptors.commands import simulate

    settings = SimulateSettings(n_subjects=18)
    for jobs in ("1", "2"):
        (tmp_path / jobs).mkdir()
        context = Context(tmp_path / jobs, settings)
        CliRunner().invoke(simulate, ["--jobs", jobs], obj=context, catch_exceptions=False)
        assert context.summary.startswith("18 scans of 18 subjects; best possible:")
    assert tree(tmp_path / "1") == tree(tmp_path / "2")
