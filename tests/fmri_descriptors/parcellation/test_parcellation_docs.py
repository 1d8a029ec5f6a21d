"""What the page about parcellations says is so."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from fmri_descriptors import load_parcellation
from fmri_descriptors.parcellation.orders import ORDERS
from fmri_descriptors.parcellation.parcellation import parcellation_names

PAGE = (Path(__file__).resolve().parents[3] / "docs/parcellations.md").read_text(encoding="utf-8")


def test_the_page_lists_the_parcellations_that_ship_with_their_sizes():
    listed = dict(re.findall(r"^\| `([\w-]+)` \| (\d+) \|", PAGE, flags=re.MULTILINE))
    assert listed == {name: str(load_parcellation(name).n_regions) for name in parcellation_names()}


def test_the_page_names_every_known_order():
    assert all(f"`{order}`" in PAGE for order in ORDERS)


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL))
def test_the_code_of_the_page_prints_what_it_says(code):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue().splitlines() == re.findall(
        r"print\(.*\)  # (.*)$", code, re.MULTILINE
    )


def test_the_table_of_the_page_can_be_read(tmp_path):
    [table] = re.findall(r"```text\n(label\t.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "mine.tsv").write_text(table)
    mine = load_parcellation(tmp_path / "mine.tsv")
    assert (mine.n_regions, mine.network_names) == (3, ("Motor", "Rest"))
