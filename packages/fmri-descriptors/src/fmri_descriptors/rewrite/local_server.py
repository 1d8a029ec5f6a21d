"""A local model served on this machine while it is needed, and never longer."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from fmri_descriptors.errors import InputError

_HOST = "127.0.0.1"
_POLL = 0.2  # s between two looks at a server that is starting
_END = 15.0  # s that a server may take to end


@contextmanager
def local_server(folder: Path, log: Path, start_seconds: float = 300.0) -> Iterator[str]:
    """Serve a model folder with ``transformers serve``, and give the address of its ``/v1``.

    The server listens on the loopback address alone, on a free port, without a network. It has
    ended when the context is left, also by an error, and when this process is killed.

    Parameters
    ----------
    folder : Path
        A transformers model folder.
    log : Path
        File that gets what the server says.
    start_seconds : float
        Longest time that the server may take to answer, in seconds.

    Raises
    ------
    InputError
        If the folder holds no model, ``transformers[serving]`` is not installed, or the server
        does not start.
    """
    _require(folder)
    port = _free_port()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = _start(folder, port, output.fileno())
    try:
        _wait_until_healthy(process, port, log, start_seconds)
        yield f"http://{_HOST}:{port}/v1"
    finally:
        _end(process)


def _require(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise InputError(
            f"rewrite.local_model: {folder}: no config.json in it; give a transformers model folder"
        )
    for module in ("transformers", "fastapi", "uvicorn"):
        if find_spec(module) is None:
            raise InputError(
                f"rewrite.local_model: {module} is not installed; pip install "
                "'transformers[serving]' torch, or set rewrite.base_url"
            )


def _start(folder: Path, port: int, output: int) -> "subprocess.Popen[bytes]":
    serve = ["transformers.cli.transformers", "serve", str(folder), "--host", _HOST]
    command = [sys.executable, "-m", *serve, "--port", str(port)]
    guard = [sys.executable, "-m", "fmri_descriptors.rewrite.guard", *command]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return subprocess.Popen(  # noqa: S603
        guard,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        env=environment,
        start_new_session=True,
    )


def _wait_until_healthy(
    process: "subprocess.Popen[bytes]", port: int, log: Path, seconds: float
) -> None:
    limit = time.monotonic() + seconds
    while not _is_healthy(port):
        ended = process.poll() is not None
        if ended or time.monotonic() > limit:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            state = "ended at once" if ended else f"did not answer within {seconds:g} s"
            raise InputError(
                f"rewrite.local_model: the server {state} ({said[-1] if said else 'no message'}); "
                "try `transformers serve` on the folder by hand"
            )
        time.sleep(_POLL)


def _is_healthy(port: int) -> bool:
    import http.client

    connection = http.client.HTTPConnection(_HOST, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
