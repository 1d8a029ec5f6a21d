"""An endpoint that is busy, fails, refuses, or is not there."""

import socket
import time
from types import SimpleNamespace

import pytest

from fmri_descriptors import InputError, RewriteSettings, rewrite_captions
from fmri_descriptors.rewrite import pace


@pytest.fixture
def run(captions, tmp_path, aal2):
    def run(settings, n=1):
        return rewrite_captions(
            captions(n),
            tmp_path / "captions.jsonl",
            settings,
            networks=aal2.network_names,
            workspace=tmp_path / "work",
        )

    return run


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_endpoint_is_asked_again(chat_server, run, prose, status):
    chat_server.script = lambda n, body: prose if n == 2 else status
    assert run(chat_server.settings()).outcomes["rewritten"] == 1
    assert len(chat_server.requests) == 3


def test_a_busy_endpoint_is_given_the_time_that_it_asks_for(chat_server, run, prose):
    chat_server.script = lambda n, body: prose if n else (429, {"Retry-After": "0.3"}, "{}")
    run(chat_server.settings())
    first, second = chat_server.requests
    assert second.at - first.at >= 0.3


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (500, "status 500"),
        (429, "status 429"),
        ((200, {}, "{not json"), "no OpenAI answer"),
        ((200, {}, '{"choices": []}'), "no OpenAI answer"),
        ((200, {}, '["words"]'), "no OpenAI answer"),
        ((200, {"Content-Type": "text/html"}, "<html>proxy</html>"), "no OpenAI answer"),
        ((200, {}, '{"choices": [{"message": {"content": null}}]}'), "no OpenAI answer"),
    ],
)
def test_an_endpoint_without_answers_leaves_the_template_text_and_is_counted(
    chat_server, run, reply, cause
):
    chat_server.script = lambda n, body: reply
    report = run(chat_server.settings(attempts=2))
    assert report.outcomes["failed"] == 1
    assert report.failures == {cause: 1}
    assert len(chat_server.requests) == 2


def test_an_endpoint_that_does_not_answer_in_time_is_counted(chat_server, run, prose):
    def late(n, body):
        time.sleep(0.4)
        return prose

    chat_server.script = late
    report = run(chat_server.settings(attempts=2, timeout_seconds=0.1))
    assert report.failures == {"timeout": 1}


def test_a_caption_that_failed_is_asked_for_by_the_next_run(chat_server, run, prose):
    chat_server.script = lambda n, body: 500
    run(chat_server.settings(attempts=1))
    chat_server.script = lambda n, body: prose
    assert run(chat_server.settings(attempts=1)).outcomes["rewritten"] == 1


def test_an_endpoint_that_fails_for_good_stops_the_run_and_keeps_the_answers(
    chat_server, run, prose, tmp_path
):
    chat_server.script = lambda n, body: prose if n < 3 else 503
    with pytest.raises(InputError, match=r"^rewrite: 4 captions in a row .*status 503.*kept$"):
        run(chat_server.settings(attempts=1, failures_in_a_row=4), n=30)
    assert len((tmp_path / "work" / "rewriting.jsonl").read_text().splitlines()) == 3
    assert not (tmp_path / "captions.jsonl").exists()


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, r"answers 401: the key in the environment variable NO_KEY is not set; set one"),
        (404, r"answers 404: no model 'writer' there; correct rewrite.model"),
        (400, r"answers 400: .*as the script says.*; check rewrite.model"),
    ],
)
def test_what_no_waiting_will_change_is_one_clear_line(chat_server, run, status, line):
    chat_server.script = lambda n, body: status
    with pytest.raises(InputError, match=line) as told:
        run(chat_server.settings(api_key_variable="NO_KEY"), n=5)
    assert "\n" not in str(told.value)
    assert len(chat_server.requests) == 1


def test_a_key_that_is_refused_is_not_called_missing(chat_server, run, monkeypatch):
    monkeypatch.setenv("LAB_KEY", "sk-old")
    chat_server.script = lambda n, body: 401
    with pytest.raises(InputError, match=r"variable LAB_KEY is refused; set") as told:
        run(chat_server.settings(api_key_variable="LAB_KEY"))
    assert "sk-old" not in str(told.value)


def test_an_endpoint_that_is_not_there_is_one_clear_line(run):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    started = time.monotonic()
    with pytest.raises(InputError, match=rf"^rewrite.base_url: {url} cannot be reached .*address$"):
        run(RewriteSettings(base_url=url, model="writer"), n=9)
    assert time.monotonic() - started < 5


def test_a_proxy_of_the_environment_sees_nothing_of_a_local_server(chat_server, run, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert run(chat_server.settings()).outcomes["rewritten"] == 1


def test_requests_keep_to_the_rate(chat_server, run, prose, monkeypatch):
    """On a clock that stands still, since on a busy machine every request is late by chance."""
    pauses = []
    clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=pauses.append)
    monkeypatch.setattr(pace, "time", clock)
    paused_before = []

    def watched(n, body):
        paused_before.append(len(pauses) > n)
        return prose

    chat_server.script = watched
    run(chat_server.settings(requests_per_minute=600.0, concurrency=4), n=6)
    assert sorted(pauses) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert paused_before == [True] * 6
    assert len(chat_server.requests) == 6


def test_a_pace_is_kept_on_a_real_clock():
    started, steps = time.monotonic(), pace.Pace(per_minute=1200.0)
    for _ in range(4):
        steps.wait()
    assert time.monotonic() - started >= 3 * 0.05


def test_no_more_requests_than_allowed_are_under_way(chat_server, run, prose):
    under_way, most = [], []

    def watched(n, body):
        under_way.append(n)
        most.append(len(under_way))
        time.sleep(0.05)
        under_way.remove(n)
        return prose

    chat_server.script = watched
    run(chat_server.settings(concurrency=3), n=12)
    assert max(most) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "base_url, local_model: (None, None); give the address"),
        ({"base_url": "http://a/v1", "local_model": "m"}, "one of the two"),
        ({"base_url": "localhost:8000", "model": "m"}, "give an address such as"),
        ({"base_url": "https://me:secret@a/v1", "model": "m"}, "put the key into"),
        ({"base_url": "http://a/v1"}, "model: None; name the endpoint's model"),
        ({"local_model": "m", "tries": 0}, "tries: 0; give at least 1"),
        ({"local_model": "m", "requests_per_minute": 0.0}, "give more than 0"),
        ({"local_model": "m", "temperature": -1.0}, "give 0 or more"),
        ({"local_model": "m", "domains": ("graphs",)}, "known are: all, FC, gradients"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, message):
    with pytest.raises(InputError) as told:
        RewriteSettings(**settings)
    assert message in str(told.value)
    assert "secret" not in str(told.value)
