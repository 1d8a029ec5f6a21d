import numpy as np
import pytest

from fmri_llm.training.forecast_baselines import code_pairs, forecast_references

N_CODES, N_PLACES = 6, 8


def scans(chance, n_scans, next_code, n_steps=12):
    """Scans whose codes follow each other by a rule, all places alike."""
    for _ in range(n_scans):
        codes = [chance.integers(N_CODES, size=N_PLACES)]
        for _ in range(n_steps - 1):
            codes.append(next_code(chance, codes[-1]))
        follows = np.arange(n_steps) > 0
        yield np.array(codes), np.ones(N_PLACES, dtype=bool), follows


def references(next_code, vectors=None, n_scans=30):
    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(N_CODES, 3)) if vectors is None else vectors
    training = code_pairs(scans(chance, n_scans, next_code), vectors)
    held_out = code_pairs(scans(chance, n_scans, next_code), vectors)
    return forecast_references(training, held_out, vectors)


def test_codes_without_a_past_are_worth_their_own_entropy():
    p = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.05])

    found = references(lambda chance, _: chance.choice(N_CODES, size=N_PLACES, p=p))

    entropy = -(p * np.log(p)).sum()
    assert found.equal_odds == pytest.approx(np.log(6))
    for loss in (found.unigram, found.previous_code, found.linear):
        assert loss == pytest.approx(entropy, abs=0.03)


def test_a_rule_from_code_to_code_is_found_by_the_code_before_and_not_by_frequencies():
    transitions = np.full((N_CODES, N_CODES), 0.02) + 0.88 * np.eye(N_CODES)[[3, 5, 0, 1, 2, 4]]

    found = references(
        lambda chance, codes: np.array([chance.choice(N_CODES, p=transitions[c]) for c in codes])
    )

    entropy = -(transitions[0] * np.log(transitions[0])).sum()
    assert found.previous_code == pytest.approx(entropy, abs=0.05)
    assert found.unigram == pytest.approx(np.log(6), abs=0.02)


def test_a_drift_of_vectors_is_found_by_the_linear_forecast():
    line = np.arange(N_CODES, dtype=float)[:, None]

    def slow(chance, codes):
        return np.clip(np.round(0.9 * codes + 0.25 + 0.4 * chance.normal(size=len(codes))), 0, 5)

    found = references(lambda chance, codes: slow(chance, codes).astype(int), vectors=line)

    assert found.linear < found.unigram - 0.4
    assert found.linear == pytest.approx(found.previous_code, abs=0.15)


def test_only_targets_and_informative_places_are_predicted():
    codes = np.array([[0, 1, 2], [3, 4, 5], [1, 1, 1], [2, 2, 2]])
    valid = np.array([True, False, True])
    follows = np.array([False, True, False, True])  # the third step begins another window

    pairs = code_pairs([(codes, valid, follows)], np.eye(N_CODES))

    assert pairs.before.tolist() == [0, 2, 1, 1]
    assert pairs.after.tolist() == [3, 5, 2, 2]
    assert pairs.means[pairs.step][0].tolist() == [0.5, 0, 0.5, 0, 0, 0]


def test_a_code_that_training_never_saw_is_unlikely_and_not_impossible():
    pairs = [(np.array([[0, 0], [0, 0]]), np.ones(2, dtype=bool), np.array([False, True]))]
    unseen = [(np.array([[5, 5], [4, 4]]), np.ones(2, dtype=bool), np.array([False, True]))]
    vectors = np.random.default_rng(1).normal(size=(N_CODES, 3))

    found = forecast_references(code_pairs(pairs, vectors), code_pairs(unseen, vectors), vectors)

    # Half a count in 2 + 6 / 2.
    assert found.unigram == found.previous_code == pytest.approx(np.log(10))
    assert np.isfinite(found.linear)
