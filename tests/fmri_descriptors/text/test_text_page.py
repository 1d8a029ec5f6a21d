"""What the page about text shows is what the code does."""

import json
import re

import pytest

from fmri_descriptors.registry import DESCRIPTORS
from fmri_descriptors.text.render import load_templates, render_descriptor
from fmri_descriptors.text.templating import _FILTERS, TEMPLATE_NAMES, _package_sources
from fmri_descriptors.text.values import FeatureValue
from fmri_descriptors.text.wording import level_word


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "text.md").read_text(encoding="utf-8")


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def test_the_pages_table_of_words_is_that_of_the_code(page):
    rows = re.findall(r"^\| (.*z.*) \| (.*(?:range|comparable)) \|$", page, flags=re.MULTILINE)
    inside = [2.5, 1.5, 0.5, -1.5, -2.5, float("nan")]
    assert [words for _, words in rows] == [level_word(z) for z in inside]


def test_the_page_lists_every_template_filter_and_macro(page):
    macros = re.findall(r"macro (\w+\(.*?\))", _package_sources()["macros"][1])
    assert len(macros) == 5
    for name in (*TEMPLATE_NAMES, *_FILTERS, *macros):
        assert f"`{name}`" in page


@pytest.mark.parametrize(
    ("example", "scan_id", "domain"), [(0, "102816", "all"), (1, "NAP_013", "graph")]
)
def test_the_pages_captions_are_those_of_the_demo_cohort(
    page, described_dir, example, scan_id, domain
):
    lines = (described_dir / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    captions = {(c["scan_id"], c["domain"]): c["text"] for c in map(json.loads, lines)}
    shown = blocks(page, "text")[example]
    assert " ".join(shown.split()) == captions[scan_id, domain]


def test_the_pages_own_template_writes_what_it_seems_to(page, tmp_path):
    (tmp_path / "graph_modularity.jinja").write_text(blocks(page, "jinja")[0])
    templates = load_templates(tmp_path)
    (row,) = (row for row in DESCRIPTORS if row.name == "graph_modularity")
    values = [FeatureValue("graph.modularity", 0.41, 1.5)]
    assert [render_descriptor(row, values, i, templates) for i in range(2)] == [
        ["modularity lies above the typical range: 0.41 (z 1.50)."],
        ["with Q = 0.41, the communities of this brain are above the typical range."],
    ]
