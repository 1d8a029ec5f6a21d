"""What `fmri` hands to commands is what each package declares that it takes.

The first four functions are a contract that mypy checks: this file is one of those that it reads.
"""

import inspect
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

from fmri_cli.run.context import Context
from fmri_cli.run.stage import Stage
from fmri_descriptors import stage as descriptors
from fmri_descriptors.settings import DescribeSettings
from fmri_vqtok import stage as vqtok
from fmri_vqtok.config.stages import TokenizeSettings


def context_of_descriptors(context: Context) -> descriptors.Context:
    return context


def stage_of_descriptors(stage: Stage) -> descriptors.Stage[DescribeSettings]:
    return stage


def context_of_the_torch_packages(context: Context) -> vqtok.Context:
    return context


def stage_of_the_torch_packages(stage: Stage) -> vqtok.Stage[TokenizeSettings]:
    return stage


@pytest.mark.parametrize("protocols", [descriptors, vqtok])
def test_a_command_may_give_the_context_what_its_package_declares(protocols: ModuleType) -> None:
    taken = inspect.signature(Context.run).parameters
    declared = inspect.signature(protocols.Context.run).parameters
    assert {(name, declared[name].kind) for name in declared} == {
        (name, taken[name].kind) for name in taken
    }


@pytest.mark.parametrize("protocols", [descriptors, vqtok])
def test_a_stage_has_what_its_package_declares(protocols: ModuleType) -> None:
    stage = Stage(Path(), None, 0, lambda _done, _total: None, "cpu", ExitStack())
    declared = {name for name in vars(protocols.Stage) if not name.startswith("_")}
    assert "language_model" in declared
    assert declared <= set(dir(stage))
