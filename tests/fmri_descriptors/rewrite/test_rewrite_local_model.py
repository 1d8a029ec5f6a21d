"""A local model: served while it is needed, ended with certainty, and asked like any other."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from fmri_descriptors import InputError, RewriteSettings, rewrite_captions
from fmri_descriptors.rewrite import local_server

GUARDED = """
import socket, sys, time
listener = socket.socket()
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen()
print("listening", flush=True)
time.sleep(600)
"""

# The signals are as a shell leaves them in the foreground; in the background it may ignore some.
STARTER = """
import signal, subprocess, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
guard = [sys.executable, "-m", "fmri_descriptors.rewrite.guard", sys.executable, "-c"]
process = subprocess.Popen([*guard, *sys.argv[1:]], stdin=subprocess.PIPE)
time.sleep(600)
"""


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ends(port, seconds=15):
    """Whether nothing listens on a port any more, soon."""
    limit = time.monotonic() + seconds
    while is_listening(port) and time.monotonic() < limit:
        time.sleep(0.02)
    return not is_listening(port)


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_guarded_server_ends_when_its_starter_is_ended_by_a_signal(port, number):
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, GUARDED, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert starter.stdout.readline() == b"listening\n"
    assert is_listening(port)
    os.kill(starter.pid, number)
    starter.wait(timeout=30)
    starter.stdout.close()
    assert ends(port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_the_whole_group_ends_the_guarded_server_too(port, number):
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, GUARDED, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert starter.stdout.readline() == b"listening\n"
    os.killpg(starter.pid, number)
    starter.wait(timeout=30)
    starter.stdout.close()
    assert ends(port)


def test_a_folder_without_a_model_is_one_clear_line(tmp_path):
    with (
        pytest.raises(InputError, match=r"no config.json in it; give a transformers model folder$"),
        local_server(tmp_path, tmp_path / "log"),
    ):
        pass


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_one_clear_line(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with (
        pytest.raises(InputError, match=r"^rewrite.local_model: the server .*by hand$") as told,
        local_server(tmp_path, tmp_path / "log"),
    ):
        pass
    assert "\n" not in str(told.value)


@pytest.mark.slow
def test_an_error_in_the_midst_ends_the_server_and_frees_its_port(smollm2, tmp_path):
    ports = []

    def serve_and_fail():
        with local_server(smollm2, tmp_path / "log") as address:
            ports.append(urlsplit(address).port)
            with urlopen(f"http://127.0.0.1:{ports[0]}/health") as reply:
                assert reply.status == 200
            raise KeyError

    with pytest.raises(KeyError):
        serve_and_fail()
    assert not is_listening(ports[0])


@pytest.mark.slow
def test_a_small_real_model_is_asked_and_its_every_answer_is_checked(
    smollm2, captions, tmp_path, aal2
):
    text = "Modularity is 0.27 (z 0.32), within the typical range."
    settings = RewriteSettings(local_model=str(smollm2), max_tokens=60, tries=2)
    report = rewrite_captions(
        captions(1, text=text),
        tmp_path / "captions.jsonl",
        settings,
        networks=aal2.network_names,
        workspace=tmp_path / "work",
    )
    [line] = (tmp_path / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    assert report.answers >= 1
    assert report.tokens_out > 0
    assert report.outcomes["rewritten"] + report.outcomes["refused"] == 1
    kept = json.loads(line)["text"] == text
    assert kept == (report.outcomes["refused"] == 1)
