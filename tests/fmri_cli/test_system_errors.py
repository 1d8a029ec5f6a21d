"""What the system refuses is one line with a fix, wherever it is noticed."""

import contextlib
import os
import resource
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from fmri_cli.main import main
from fmri_cli.system_errors import system_line

# Files of this process may not grow beyond so many bytes.
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"


def library_writes(folder):
    """What writes half a megabyte, or wants a petabyte of memory, by the library that does it."""
    import datasets
    import pandas as pd
    import torch
    from safetensors.torch import save_file

    values = np.random.default_rng(0).random(50_000)
    table = pd.DataFrame({"a": values})
    data = datasets.Dataset.from_pandas(table)
    return {
        "safetensors": lambda: save_file({"a": torch.from_numpy(values)}, folder / "a.safetensors"),
        "torch": lambda: torch.save(torch.from_numpy(values), folder / "a.pt"),
        "numpy": lambda: np.save(folder / "a.npy", values),
        "parquet": lambda: table.to_parquet(folder / "a.parquet"),
        "arrow": lambda: data.save_to_disk(folder / "a"),
        "text": lambda: (folder / "a.txt").write_text("x" * 50_000),
        "memory of numpy": lambda: np.zeros(10**15),
        "memory of torch": lambda: torch.zeros(10**15),
    }


LARGE = "File too large; allow larger files"
CUT = "a file could not be written to its end; make room"
MEMORY = "not enough memory; give smaller batches"


def run(script, *arguments, **more):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, **more)


@pytest.mark.parametrize(
    ("library", "words"),
    [
        ("safetensors", LARGE),
        ("torch", CUT),
        ("numpy", CUT),
        ("parquet", LARGE),
        ("arrow", LARGE),
        ("text", LARGE),
        ("memory of numpy", MEMORY),
        ("memory of torch", MEMORY),
    ],
)
def test_a_system_error_inside_a_library_is_one_line(tmp_path, library, words):
    pytest.importorskip("torch")
    write = library_writes(tmp_path)[library]
    with files_of_at_most(20_000), pytest.raises(Exception) as refused:  # noqa: PT011 - of any kind
        write()
    assert words in system_line(refused.value)


@contextlib.contextmanager
def files_of_at_most(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_stage_that_may_not_write_more_ends_in_one_line_and_leaves_what_was_there(tiny):
    tiny.draw("--set", "count=1")
    before = (tiny.run / "numbers" / "0.txt").read_bytes()
    script = LIMITED + "import sys; from fmri_cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = run(script, *tiny.draw_line("--set", "count=400"), env=tiny.environment())
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "File too large; allow larger files" in done.stderr
    assert (tiny.run / "numbers" / "0.txt").read_bytes() == before


@pytest.mark.parametrize("place", ["--out", "source"])
def test_a_name_that_is_too_long_is_one_line(tiny, place):
    long = tiny.root / ("n" * 300)
    line = tiny.draw_line()
    line[line.index("--out") + 1 if place == "--out" else 1] = str(long)
    code, _, err = tiny.fmri(*line)
    assert (code, err.count("\n")) == (1, 1)
    assert "File name too long; choose shorter names" in err


@pytest.mark.parametrize("place", ["--out", "source", "run"])
def test_a_link_that_leads_to_itself_is_one_line(tiny, place):
    loop = tiny.root / "loop"
    loop.symlink_to(loop)
    line = tiny.draw_line()
    at = 1 if place == "source" else line.index("--out") + 1
    line[at] = str(loop / "numbers" if place == "run" else loop)
    code, _, err = tiny.fmri(*line)
    assert (code, err.count("\n")) == (1, 1)
    assert str(loop) in err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BrokenProcessPool("A process in the pool was terminated"), "a worker process was killed"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "not enough memory"),
        (OSError(28, "No space left on device", "here"), "here: No space left on device; make"),
    ],
)
def test_a_system_error_is_reported_with_its_fix(error, words):
    assert words in system_line(error)


@pytest.mark.parametrize("error", [KeyError("os error 28"), RuntimeError("a bug"), OSError("odd")])
def test_an_error_of_another_kind_is_left_alone(error):
    assert system_line(error) is None


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(tmp_path):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "fmri_cli.main", "--help"]
    done = subprocess.run(command, check=False, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert "Traceback" not in done.stderr


STEERING = "\x1b[31mred\x9b2J\r\u202eleft\a"


@pytest.mark.parametrize("place", ["source", "--out", "--set", "command", "--config"])
def test_a_name_never_steers_the_terminal(tiny, place):
    line = {
        "source": ["draw", f"{tiny.root}/{STEERING}", "--out", str(tiny.run / "numbers")],
        "--out": ["draw", str(tiny.source), "--out", str(tiny.run / STEERING)],
        "--set": tiny.draw_line("--set", f"{STEERING}=1"),
        "command": [STEERING],
        "--config": tiny.draw_line("--config", STEERING),
    }[place]
    _, out, err = tiny.fmri(*line)
    assert "\\x1b[31mred" in out + err
    assert not set(out + err) & set("\x1b\x9b\r\u202e\a")


def test_letters_that_the_screen_cannot_write_are_spelt_out(tiny):
    line = ["draw", str(tiny.source), "--out", str(tiny.run / "Gehirn-🧠")]
    command = [sys.executable, "-m", "fmri_cli.main", *line]
    plain = tiny.environment() | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=plain)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Gehirn-\\U0001f9e0" in done.stdout


def test_an_unreadable_byte_in_a_name_is_spelt_out(capsys):
    assert main(["draw\udcff"]) == 2
    assert "draw\\udcff" in capsys.readouterr().err
