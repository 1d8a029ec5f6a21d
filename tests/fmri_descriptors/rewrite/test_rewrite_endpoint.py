"""An endpoint that is busy, fails, refuses, or is not there."""

import socket
import time

import pytest

from fmri_descriptors import InputError, RewriteSettings, rewrite_captions


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
    ("reply", "cause", "n_requests"),
    [
        (500, "status 500", 2),
        (429, "status 429", 2),
        ((200, {}, "{not json"), "no OpenAI answer", 1),
        ((200, {}, '{"choices": []}'), "no OpenAI answer", 1),
        ((200, {}, '["words"]'), "no OpenAI answer", 1),
        ((200, {"Content-Type": "text/html"}, "<html>proxy</html>"), "no OpenAI answer", 1),
        ((200, {}, '{"choices": [{"message": {"content": null}}]}'), "no OpenAI answer", 1),
    ],
)
def test_an_endpoint_without_answers_leaves_the_template_text_and_is_counted(
    chat_server, run, reply, cause, n_requests
):
    chat_server.script = lambda n, body: reply
    report = run(chat_server.settings(max_retries=1))
    assert report.outcomes["failed"] == 1
    assert report.failures == {cause: 1}
    assert len(chat_server.requests) == n_requests


def test_an_endpoint_that_does_not_answer_in_time_is_counted(chat_server, run, prose):
    def late(n, body):
        time.sleep(0.4)
        return prose

    chat_server.script = late
    report = run(chat_server.settings(max_retries=1, timeout_seconds=0.1))
    assert report.failures == {"timeout": 1}


def test_a_caption_that_failed_is_asked_for_by_the_next_run(chat_server, run, prose):
    chat_server.script = lambda n, body: 500
    run(chat_server.settings(max_retries=0))
    chat_server.script = lambda n, body: prose
    assert run(chat_server.settings(max_retries=0)).outcomes["rewritten"] == 1


def test_an_endpoint_that_fails_for_good_stops_the_run_and_keeps_the_answers(
    chat_server, run, prose, tmp_path
):
    chat_server.script = lambda n, body: prose if n < 3 else 503
    with pytest.raises(InputError, match=r"^rewrite: 4 captions in a row .*status 503.*kept$"):
        run(chat_server.settings(max_retries=0, failures_in_a_row=4), n=30)
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
    with pytest.raises(InputError, match=rf"^rewrite.base_url: {url} cannot be reached .*address$"):
        run(RewriteSettings(base_url=url, model="writer", max_retries=1), n=9)


def test_a_proxy_of_the_environment_sees_nothing_of_a_local_server(chat_server, run, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert run(chat_server.settings()).outcomes["rewritten"] == 1


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
        ({"base_url": "localhost:8000"}, "give an address such as"),
        ({"base_url": "https://me:secret@a/v1"}, "put the key into"),
        ({"model": ""}, "model: ''; give a text"),
        ({"tries": 0}, "tries: 0; give at least 1"),
        ({"temperature": -1.0}, "temperature: -1.0; give at least 0"),
        ({"domains": ("graphs",)}, "domains.0: 'graphs'; give 'all', 'FC', 'gradients'"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, message):
    with pytest.raises(InputError) as told:
        RewriteSettings(**{"base_url": "http://a/v1", "model": "m"} | settings)
    assert message in str(told.value)
    assert "secret" not in str(told.value)
