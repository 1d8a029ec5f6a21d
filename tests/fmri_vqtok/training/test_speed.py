"""Speed of a run, and its time spent waiting for data."""

import time

import pytest

from fmri_vqtok.training.speed import Speed

from .test_training_loop import SETTINGS, Sums, run


class Slow(Sums):
    """Items that take their time."""

    def __getitem__(self, index):
        time.sleep(0.01)
        return super().__getitem__(index)


def test_a_run_that_waits_for_slow_data_says_so_and_how_many_examples_it_sees(tmp_path):
    n_examples, facts = SETTINGS.steps * SETTINGS.batch_size, {}
    start = time.perf_counter()
    run(tmp_path, data=Slow(n_examples), note=facts.update)
    whole = time.perf_counter() - start
    speed = facts["speed"]
    assert 0.5 < speed["waiting_for_data"] < 1
    # An item takes at least 0.01 s, and the steps are a part of the whole run.
    assert n_examples / whole < speed["examples_per_second"] < 100


def test_a_run_that_was_already_finished_has_no_speed(tmp_path):
    run(tmp_path)
    facts = {}
    run(tmp_path, note=facts.update)
    assert facts == {"speed": {}}


def test_the_speed_of_an_interval_leaves_out_what_was_before():
    speed = Speed(n_examples=40, seconds=10.0, waiting=5.0)
    speed.interval()
    speed.n_examples, speed.seconds, speed.waiting = 50, 12.0, 5.5
    expected = {"examples_per_second": 5.0, "waiting_for_data": 0.25}
    assert speed.interval() == pytest.approx(expected)
    assert speed.interval() == {}
    assert speed.facts["examples_per_second"] == pytest.approx(50 / 12)
