import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from fmri_descriptors import CohortSettings, InputError, Recording, Source, write_cohort
from fmri_descriptors.cohort.splits import split_subjects

subjects = st.dictionaries(
    st.text("abcdefgh0123456789", min_size=1, max_size=6),
    st.sampled_from(["north", "south", None]),
    min_size=4,
    max_size=60,
)
fractions = st.builds(
    CohortSettings,
    test_fraction=st.floats(0, 0.45),
    validation_fraction=st.floats(0, 0.3),
)


@examples(deadline=None)
@given(subjects, fractions, st.integers(0, 99))
def test_every_subject_is_in_exactly_one_split(sites, settings, seed):
    try:
        splits = split_subjects(sites, settings, seed)
    except InputError:
        return
    assert set(splits) == set(sites)
    assert set(splits.values()) <= {"train", "validation", "test"}


@examples(deadline=None)
@given(subjects, st.integers(0, 99), st.randoms())
def test_the_order_in_which_subjects_are_listed_does_not_matter(sites, seed, random):
    shuffled = list(sites.items())
    random.shuffle(shuffled)
    settings = CohortSettings()
    assert split_subjects(sites, settings, seed) == split_subjects(dict(shuffled), settings, seed)


@examples(deadline=None)
@given(subjects, st.integers(0, 99))
def test_a_new_subject_moves_at_most_one_other_into_or_out_of_each_held_out_split(sites, seed):
    settings = CohortSettings(test_fraction=0.3, validation_fraction=0.2)
    before = split_subjects(sites, settings, seed)
    after = split_subjects({**sites, "newcomer": "north"}, settings, seed)
    moved = [s for s in sites if before[s] != after[s]]
    assert len(moved) <= 2
    assert all(sites[s] == "north" for s in moved)


@examples(deadline=None)
@given(st.integers(10, 80), st.integers(10, 80), st.integers(0, 9))
def test_each_site_gives_its_share_to_each_split(n_north, n_south, seed):
    sites = {f"n{i}": "north" for i in range(n_north)} | {f"s{i}": "south" for i in range(n_south)}
    splits = split_subjects(sites, CohortSettings(test_fraction=0.2), seed)
    for initial, count in (("n", n_north), ("s", n_south)):
        held_out = sum(splits[s] == "test" for s in sites if s[0] == initial)
        assert abs(held_out - 0.2 * count) <= 0.5


def test_another_seed_gives_another_split():
    sites = {f"s{i}": "here" for i in range(40)}
    settings = CohortSettings()
    assert split_subjects(sites, settings, 0) != split_subjects(sites, settings, 1)


def test_named_subjects_are_where_they_were_named():
    sites = {f"s{i}": "here" for i in range(10)}
    settings = CohortSettings(test_subjects=("s3", "s4"), validation_subjects=("s5",))
    splits = split_subjects(sites, settings, 0)
    assert [s for s in splits if splits[s] == "test"] == ["s3", "s4"]
    assert [s for s in splits if splits[s] == "validation"] == ["s5"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test_subjects": ("s33",)}, "'s33' is not in the source; the nearest is 's3'"),
        ({"test_subjects": ("s1",), "validation_subjects": ("s1",)}, "'s1' is named twice"),
        ({"test_subjects": tuple(f"s{i}" for i in range(5))}, "none of 5 subjects is left"),
    ],
)
def test_names_that_cannot_be_split_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        split_subjects({f"s{i}": "here" for i in range(5)}, CohortSettings(**settings), 0)


def test_a_subject_with_visits_at_two_sites_is_still_in_one_split(simulate, tmp_path, aal2):
    from fmri_descriptors import read_cohort

    def visit(subject, site, number):
        scan = simulate(number, n_frames=64)
        return Recording(
            tmp_path,
            f"{subject}-{site}",
            f"{subject}-{site}",
            subject,
            None,
            site,
            2.0,
            lambda path, parcellation: scan.timeseries,
        )

    visits = [visit(f"p{i}", site, 2 * i + j) for i in range(6) for j, site in enumerate("ab")]
    settings = CohortSettings(test_fraction=0.3, validation_fraction=0.2)
    write_cohort(Source("made", tuple(visits), (), parcellation="aal2"), tmp_path, settings, seed=1)
    cohort = read_cohort(tmp_path)
    people = {s: {x.subject for x in cohort.scans(s)} for s in ("train", "validation", "test")}
    assert sum(len(group) for group in people.values()) == 6
    assert len(set().union(*people.values())) == 6


def fold(number, n_folds=4, **more):
    return CohortSettings(n_folds=n_folds, fold=number, **more)


@examples(deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 9))
def test_each_subject_is_a_test_subject_of_exactly_one_fold(n_north, n_south, seed):
    sites = {f"n{i}": "north" for i in range(n_north)} | {f"s{i}": "south" for i in range(n_south)}
    held_out = []
    for number in range(1, 5):
        splits = split_subjects(sites, fold(number), seed)
        held_out.append([s for s in sites if splits[s] == "test"])
    assert sorted(s for part in held_out for s in part) == sorted(sites)
    assert max(map(len, held_out)) - min(map(len, held_out)) <= 1
    from_north = [sum(s[0] == "n" for s in part) for part in held_out]
    assert max(from_north) - min(from_north) <= 1


def test_whole_sites_are_held_out_on_request():
    sites = {f"{site}{i}": site for site in "abcde" for i in range(3 + ord(site) % 3)}
    held_out = []
    for number in (1, 2, 3):
        splits = split_subjects(sites, fold(number, 3, fold_by="site"), seed=1)
        tested = {site for s, site in sites.items() if splits[s] == "test"}
        assert not tested & {site for s, site in sites.items() if splits[s] != "test"}
        held_out += sorted(tested)
    assert sorted(held_out) == list("abcde")


def test_those_who_validate_are_of_the_other_folds():
    sites = {f"s{i}": None for i in range(40)}
    splits = split_subjects(sites, fold(2, validation_fraction=0.2), seed=0)
    counts = {split: list(splits.values()).count(split) for split in set(splits.values())}
    assert counts == {"test": 10, "validation": 6, "train": 24}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"n_folds": 3, "fold": 4}, "fold: 4; give at most 3"),
        ({"fold": 2}, "fold: 2; give n_folds too"),
        ({"n_folds": 3, "test_subjects": ("a",)}, "both say who is held out"),
        ({"n_folds": 2, "validation_fraction": 0.5}, "leave some to train on"),
    ],
)
def test_folds_that_cannot_be_are_refused(more, message):
    with pytest.raises(InputError, match=message):
        CohortSettings(**more)


def test_more_folds_than_there_are_sites_are_refused():
    sites = {"a": "north", "b": "south", "c": "south"}
    with pytest.raises(InputError, match="n_folds: 3, but there are 2 sites; give at most"):
        split_subjects(sites, fold(1, 3, fold_by="site"), seed=0)
