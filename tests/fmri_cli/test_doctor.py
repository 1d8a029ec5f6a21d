"""`fmri doctor`: what it finds, through the real command and on planted defects."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fmri_cli import doctor

FMRI = Path(sys.executable).with_name("fmri")
FIELDS = {"section", "name", "state", "value", "fix"}


def run(*arguments, **variables):
    kept = {k: v for k, v in os.environ.items() if k not in ("FMRI_VQTOK_KERNELS",)}
    return subprocess.run(
        [FMRI, "doctor", *arguments],
        check=False,
        env=kept | variables,
        capture_output=True,
        text=True,
    )


def planted_package(site, name, *lines):
    """A distribution that is installed before, and instead of, the real one."""
    info = site / f"{name.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir(parents=True)
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n"
    (info / "METADATA").write_text(head + "".join(f"{line}\n" for line in lines))


@pytest.fixture
def needy(tmp_path, monkeypatch):
    """fmri-descriptors with a library that is too old, one that is missing, and an extra."""
    planted_package(
        tmp_path,
        "fmri-descriptors",
        "Requires-Dist: numpy>=999",
        "Requires-Dist: no-such-library>=2",
        "Requires-Dist: click>=8",
        "Requires-Dist: no-windows-library; sys_platform == 'win32'",
        "Requires-Dist: no-such-rewriter; extra == 'rewrite'",
        "Provides-Extra: rewrite",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(doctor, "OUR_PACKAGES", {"fmri-descriptors": "descriptors"})


@pytest.mark.slow
def test_required_kernels_without_a_gpu_are_a_problem_with_its_fix():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = run("--json", FMRI_VQTOK_KERNELS="require", HF_HUB_OFFLINE="1")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ready"]) == (1, False), done.stderr
    assert all(set(finding) == FIELDS for finding in told["findings"])
    [kernels] = [finding for finding in told["findings"] if finding["section"] == "kernels"]
    assert kernels["state"] == "problem"
    assert kernels["value"].startswith("FMRI_VQTOK_KERNELS=require, but")
    assert kernels["fix"] == "unset FMRI_VQTOK_KERNELS, or set it to auto"
    [network] = [finding for finding in told["findings"] if finding["section"] == "network"]
    assert network["value"] == "1: only the cache is read"


@pytest.mark.slow
def test_the_screen_says_that_the_triton_kernels_passed_their_self_test():
    pytest.importorskip("triton")
    # Triton's interpreter runs the fused kernels without a GPU.
    done = run(FMRI_VQTOK_KERNELS="require", TRITON_INTERPRET="1")
    assert done.returncode == 0, done.stdout
    [line] = [line for line in done.stdout.splitlines() if "kernels on cpu" in line]
    assert line.startswith("ok ")
    assert "triton (FMRI_VQTOK_KERNELS=require, triton 3" in line
    assert line.endswith("self-test passed")
    assert done.stdout.endswith("Ready.\n")


def test_a_kernel_that_gives_wrong_codes_is_a_problem(monkeypatch):
    import torch

    from fmri_vqtok.kernels import verification

    monkeypatch.setenv("FMRI_VQTOK_KERNELS", "require")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(verification, "triton_agrees", lambda _device: False)
    found = doctor.check_kernels(torch.device("cpu"), used=True)
    assert found.state == "problem"
    assert "the self-test failed" in found.value
    assert "FMRI_VQTOK_KERNELS=off" in found.fix


def test_a_library_that_is_too_old_or_missing_is_a_problem_with_the_command(needy):
    found = {finding.name: finding for finding in doctor.check_libraries()}
    assert set(found) == {"numpy", "no-such-library", "click"}
    assert found["numpy"].state == found["no-such-library"].state == "problem"
    assert found["numpy"].fix == "pip install 'numpy>=999'"
    assert found["no-such-library"].value == "missing; fmri-descriptors needs it"
    assert found["click"].state == "ok"


def test_an_extra_that_is_not_installed_is_a_note_with_the_command(needy):
    found = {finding.name: finding for finding in doctor.check_extras()}
    extra = found["fmri-descriptors[rewrite]"]
    assert (extra.state, extra.value) == ("note", "without no-such-rewriter")
    assert extra.fix == "pip install 'fmri-descriptors[rewrite]'"


def test_a_package_of_ours_that_is_missing_is_a_note_with_its_extra(monkeypatch):
    monkeypatch.setattr(doctor, "OUR_PACKAGES", {"fmri-nothing": "tokenizer"})
    [found] = doctor.check_packages()
    assert (found.state, found.fix) == ("note", "pip install 'fmri-cli[tokenizer]'")


def test_without_torch_there_is_a_note_and_nothing_else(monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda _name: None)
    [found] = doctor.check_torch()
    assert found.state == "note"
    assert found.fix == "pip install 'fmri-cli[tokenizer]'"


def test_a_full_disk_is_a_problem_and_a_filling_one_a_note(tmp_path, monkeypatch):
    def state():
        return doctor.check_folder("here", tmp_path / "not" / "yet", "go elsewhere").state

    free = doctor.shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(doctor, "LEAST_FREE", free * 2)
    assert state() == "problem"
    monkeypatch.setattr(doctor, "LEAST_FREE", 1)
    monkeypatch.setattr(doctor, "GOOD_FREE", free * 2)
    assert state() == "note"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_a_problem():
    found = doctor.check_folder("cache", Path("/proc/nothing"), "set HF_HOME elsewhere")
    assert (found.state, found.fix) == ("problem", "set HF_HOME elsewhere")


def test_the_caches_are_where_the_variables_say(monkeypatch, tmp_path):
    monkeypatch.setenv("FMRI_LM_CACHE", str(tmp_path / "ours"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "theirs"))
    _, *caches = doctor.check_folders()
    folders = [finding.value.partition(":")[0] for finding in caches]
    assert folders == [str(tmp_path / "ours"), str(tmp_path / "theirs")]


def test_demo_files_that_are_missing_are_a_note_with_the_command(monkeypatch):
    monkeypatch.setattr(doctor, "DEMO_WHEELS", {"json": "*.mat", "no_such_module": "*"})
    states = [(finding.state, finding.value) for finding in doctor.check_demo()]
    assert states == [("note", "its files are missing"), ("note", "not installed")]


def test_notes_and_problems_have_a_line_each_and_what_is_well_shares_one():
    findings = [
        doctor.Finding("a", "x", "ok", "1"),
        doctor.Finding("a", "y", "note", "2", "do that"),
        doctor.Finding("a", "z", "ok", "3"),
        doctor.Finding("b", "w", "problem", "two\nlines", "do this"),
    ]
    assert [" ".join(line.split()) for line in doctor.screen_lines(findings)] == [
        "ok a x 1; z 3",
        "note a y: 2 -> do that",
        "problem b w: two lines -> do this",
        "Not ready: 1 to fix, see above.",
    ]


@pytest.fixture
def odd_base(tmp_path):
    """Folder of a base that carries a state from token to token."""
    from transformers import MambaConfig

    MambaConfig(hidden_size=8, num_hidden_layers=1, vocab_size=20).save_pretrained(tmp_path / "odd")
    (tmp_path / "odd" / "model.safetensors").touch()
    return str(tmp_path / "odd")


def test_a_base_that_cannot_be_trained_on_is_a_problem_with_what_to_give(odd_base):
    (finding,) = doctor.check_base_model(odd_base)
    assert finding.state == "problem"
    assert "(mamba): it carries a state from token to token" in finding.value
    assert finding.fix.startswith("give a base with attention and position ids")


def test_a_base_that_is_not_here_yet_is_a_note():
    (finding,) = doctor.check_base_model("nobody/nothing")
    assert finding.state == "note"
    assert "not on this machine yet" in finding.value


def test_a_base_that_passes_is_ok(smollm2):
    (finding,) = doctor.check_base_model("smollm2-135m-instruct")
    assert finding.state == "ok"
    assert finding.value == "llama, attention sdpa, probed"
