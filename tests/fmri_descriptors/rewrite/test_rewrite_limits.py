"""An endpoint that never ends, never hurries, or sends on what it was told in confidence."""

import contextlib
import json
import socket
import threading
import time

import pytest

from fmri_descriptors import InputError, RewriteSettings
from fmri_descriptors.rewrite import limits
from fmri_descriptors.rewrite.endpoint import Endpoint, NoAnswerError

QUESTION = [{"role": "user", "content": "A caption."}]


@pytest.fixture
def raw_server():
    """Answer each connection with what `speak(connection)` sends, byte by byte if it likes."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()
    speak: list = []
    made: list[Endpoint] = []

    def serve():
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection):
        with connection:
            connection.recv(65536)
            try:
                speak[0](connection, ended)
            except OSError:
                return  # the client has had enough

    threading.Thread(target=serve, daemon=True).start()

    def endpoint(speaker, **changes):
        speak[:] = [speaker]
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        quick = {"timeout_seconds": 0.6, "max_retries": 0}
        settings = RewriteSettings(base_url=url, model="writer", **quick | changes)
        made.append(Endpoint(settings))
        return made[-1]

    before = set(threading.enumerate())
    yield endpoint
    ended.set()
    listener.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    for used in made:
        used.close()


def head(status="200 OK", **headers):
    lines = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in headers.items())
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{lines}\r\n".encode()


def endless(status):
    def speak(connection, ended):
        connection.sendall(head(status))
        while not ended.is_set():
            connection.sendall(b" " * 65536)

    return speak


def drip(first, rest):
    def speak(connection, ended):
        connection.sendall(first)
        while not ended.wait(0.05):
            connection.sendall(rest)

    return speak


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
def test_a_response_without_end_is_read_up_to_a_limit(raw_server, monkeypatch, status):
    monkeypatch.setattr(limits, "LONGEST_ANSWER", 1 << 20)
    endpoint = raw_server(endless(status), timeout_seconds=30.0)
    with pytest.raises(NoAnswerError, match=r"answer too long|status 500"):
        endpoint.ask(QUESTION, 0.0, 0)


def test_a_compressed_response_is_not_unpacked(raw_server):
    def speak(connection, _ended):
        connection.sendall(head(Content_Encoding="gzip", Content_Length=3) + b"abc")

    with pytest.raises(NoAnswerError, match="answer too long"):
        raw_server(speak).ask(QUESTION, 0.0, 0)


@pytest.mark.parametrize(
    ("first", "rest"),
    [(head(), b" "), (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"), (b"H", b"")],
    ids=["body", "headers", "silence"],
)
def test_a_response_that_drips_ends_with_the_time_for_the_whole_of_it(raw_server, first, rest):
    started = time.monotonic()
    with pytest.raises(NoAnswerError, match="timeout"):
        raw_server(drip(first, rest)).ask(QUESTION, 0.0, 0)
    assert time.monotonic() - started < 5


def test_a_caption_is_not_sent_on_to_another_address(chat_server):
    other = socket.create_server(("127.0.0.1", 0))
    other.settimeout(0.2)
    elsewhere = f"http://127.0.0.1:{other.getsockname()[1]}/v1/chat/completions"
    chat_server.script = lambda n, body: (307, {"Location": elsewhere}, "")
    endpoint = Endpoint(chat_server.settings(max_retries=0))
    told = r"answers 307: it sends on .* rewrite\.base_url"
    with other, contextlib.closing(endpoint):
        with pytest.raises(InputError, match=told):
            endpoint.ask(QUESTION, 0.0, 0)
        with pytest.raises(TimeoutError):
            other.accept()


@pytest.mark.parametrize("named", ["\u00b2", "-5", "soon"])
def test_a_wait_that_is_no_number_of_seconds_is_not_waited_for(chat_server, completion, named):
    head = {"Retry-After": named}
    chat_server.script = lambda n, body: "Words." if n else (429, head, "{}")
    endpoint = Endpoint(chat_server.settings(max_retries=1))
    started = time.monotonic()
    with contextlib.closing(endpoint):
        assert endpoint.ask(QUESTION, 0.0, 0).text == "Words."
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("named", ["1e9", "9" * 400])
def test_a_wait_of_hours_is_no_answer(chat_server, named):
    chat_server.script = lambda n, body: (429, {"Retry-After": named}, "{}")
    endpoint = Endpoint(chat_server.settings(max_retries=1))
    with contextlib.closing(endpoint), pytest.raises(NoAnswerError, match="status 429"):
        endpoint.ask(QUESTION, 0.0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"choices": ' + "[" * 200_000,
        json.dumps({"choices": [{"message": {"content": "\ud800", "role": "assistant"}}]}),
    ],
    ids=["deep", "deep inside", "half a character"],
)
def test_an_answer_that_no_file_can_hold_is_none(chat_server, text):
    chat_server.script = lambda n, body: (200, {}, text)
    endpoint = Endpoint(chat_server.settings(max_retries=0))
    with contextlib.closing(endpoint), pytest.raises(NoAnswerError, match="no OpenAI answer"):
        endpoint.ask(QUESTION, 0.0, 0)
