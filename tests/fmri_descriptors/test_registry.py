"""One table of the 23 descriptors: the page, the code and the settings agree with it."""

import dataclasses
import importlib.util
import re
from pathlib import Path

import pytest

from fmri_descriptors import FeatureSettings
from fmri_descriptors.registry import DESCRIPTORS

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def writer():
    path = REPOSITORY / "scripts" / "write_descriptor_table.py"
    spec = importlib.util.spec_from_file_location("write_descriptor_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_documented_table_is_the_registry(writer):
    page = writer.PAGE.read_text(encoding="utf-8")
    assert writer.with_table(page) == page, "run scripts/write_descriptor_table.py"


def test_every_setting_that_a_formula_names_exists():
    names = {name for row in DESCRIPTORS for name in re.findall(r"\b\w+_\w+\b", row.formula)}
    known = {field.name for field in dataclasses.fields(FeatureSettings)}
    assert names <= known | {row.name for row in DESCRIPTORS}
