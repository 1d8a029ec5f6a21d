"""YAML that users write: one meaning in every package, one line for every fault, and an end."""

import json
import time
from pathlib import Path

import pytest
from click import ClickException
from hypothesis import given, settings
from hypothesis import strategies as st

from fmri_cli.settings.recipes import load_recipe, parse_assignment
from fmri_cli.settings.yaml_files import LARGEST, YamlError, parse_yaml, read_yaml
from fmri_descriptors.phenotypes.dictionary import load_dictionary
from fmri_instruct.prompts.paraphrases import PromptBank
from fmri_instruct.tasks.definitions import load_tasks

COPIES = (
    "fmri-descriptors/src/fmri_descriptors/utils/yaml_files.py",
    "fmri-vqtok/src/fmri_vqtok/formats/yaml_files.py",
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
PIECES = st.sampled_from(
    [
        *("a", "b:", "yes", "&x", "*x", "!!int", "!!set", "!x", "%", "@", "`", "'", '"', "<<"),
        *("{", "}", "[", "]", ",", "-", "?", ":", "|", ">", "#", "---", "...", "~", "1e-3", "0x"),
        *("2026-13-45", "\\UFFFFFFFF", "\\ud800", "\u2028", "\u200f", "\x85", "\0", "\ufeff", "\t"),
    ]
)
TEXTS = st.lists(PIECES | st.sampled_from(["\n", "\n  ", " ", ": "]), max_size=30).map("".join)


def ladder(rungs):
    """A document whose aliases stand for ten to the power of `rungs` values."""
    first = "k0: &k0 [x, x, x, x, x, x, x, x, x, x]\n"
    return first + "\n".join(
        f"k{rung}: &k{rung} [{', '.join([f'*k{rung - 1}'] * 10)}]" for rung in range(1, rungs)
    )


FAULTS = {
    "a: &a [*a]": "alias 'a' stands inside what it repeats, line 1",
    "a: 1\nb: &b {c: {d: *b}}": "alias 'b' stands inside what it repeats, line 2",
    ladder(9): "more than 100,000 values, with those that aliases repeat, line 5",
    "[" * 100_000: "nested deeper than 32 levels, line 1",
    "{a: " * 100_000: "nested deeper than 32 levels, line 1",
    "".join(f"{' ' * depth}a:\n" for depth in range(500)): "nested deeper than 32 levels, line 33",
    "a: 1\nb: !!int x": "tag tag:yaml.org,2002:int; write the value without a tag, line 2",
    "a: !!python/object/apply:os.system [ls]": "write the value without a tag, line 1",
    "!!set {a, b}": "write the value without a tag, line 1",
    "a: " + "7" * 5_000: "is too large; put it in quotes if it is a name, line 1",
    "a: 0x" + "f" * 40: "is too large; put it in quotes if it is a name, line 1",
    "a: 1e999": "number 1e999 is too large, line 1",
    "a: 1\n'a': 2": "key 'a' is given twice, line 2",
    "a: {b: 1, c: 2, b: 3}": "key 'b' is given twice, line 1",
    "1: a\n'1': b": "key '1' is given twice, line 2",
    "? [a]\n: b": "a key has to be text, line 1",
    "a\0b": "the character U+0000 is not allowed, line 1",
    "a: 1\nb: \x1b[31m": "the character U+001B is not allowed, line 2",
    'a: "\\0"': "an escape of no character, line 1",
    'a: "\\ud83d"': "an escape of no character, line 1",
    'a: "\\UFFFFFFFF"': "an escape of no character, line 1",
    "a: *b": "alias 'b' repeats nothing, line 1",
    "a: &x 1\nb: &x 2": "anchor 'x' is given twice, line 2",
    "a: 1\n---\nb: 2": "a second document begins; write one, line 2",
    "<<: 3": "'<<' needs an alias of a mapping, or a list of them, line 1",
    "a: b: c": "mapping values are not allowed here, line 1",
    "a: [": "line 1",
    "x" * (LARGEST + 1): "longer than 1,048,576 bytes",
}


@pytest.mark.parametrize("copy", COPIES)
def test_the_packages_that_cannot_import_each_other_read_yaml_alike(repository: Path, copy: str):
    ours = repository / "packages/fmri-cli/src/fmri_cli/settings/yaml_files.py"
    theirs = repository / "packages" / copy
    assert theirs.read_text(encoding="utf-8") == ours.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("[yes, No, on, OFF, y, n]", ["yes", "No", "on", "OFF", "y", "n"]),
        ("{yes: a, true: b, 1: c, 1.0: d}", {"yes": "a", "true": "b", "1": "c", "1.0": "d"}),
        ("[true, False, TRUE]", [True, False, True]),
        ("[2026-01-31, 2026-13-45, 12:30]", ["2026-01-31", "2026-13-45", "12:30"]),
        ("[007, 08, 1_000, 0b1, +1]", ["007", "08", "1_000", "0b1", 1]),
        ("[0x1F, 0o17, -3, 0]", [31, 15, -3, 0]),
        ("[1e-3, .5, 1., 2.5E+2, -.inf]", [0.001, 0.5, 1.0, 250.0, float("-inf")]),
        ("[null, ~, 'null']", [None, None, "null"]),
        ("!!str 12", "12"),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("[&b {s: 1, t: 2}, {<<: *b, s: 3}]", [{"s": 1, "t": 2}, {"s": 3, "t": 2}]),
        ("", None),
        ("# nothing\n", None),
    ],
)
def test_a_word_means_what_it_says(written, meant):
    assert parse_yaml(written) == meant


@pytest.mark.parametrize(("text", "message"), FAULTS.items(), ids=range(len(FAULTS)))
def test_a_fault_is_one_line_with_its_line_number_at_once(text, message):
    started = time.process_time()
    with pytest.raises(YamlError) as refused:
        parse_yaml(text)
    assert time.process_time() - started < 5
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: \xff\xfe", "not UTF-8 text, line 2"),
        (b"a" * (LARGEST + 1), "longer than"),
        (b"\xc3" * (LARGEST + 1), "longer than"),
    ],
)
def test_a_file_that_is_no_text_or_too_long_is_refused_in_one_line(tmp_path, content, message):
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(YamlError, match=message):
        read_yaml(tmp_path / "a.yaml")


def test_a_byte_order_mark_at_the_beginning_is_passed_over(tmp_path):
    (tmp_path / "a.yaml").write_bytes("a: ä".encode("utf-8-sig"))
    assert read_yaml(tmp_path / "a.yaml") == {"a": "ä"}


@settings(derandomize=True, max_examples=60, deadline=None)
@given(JSON)
def test_json_is_yaml_and_means_the_same(value):
    # As in JSON, keys are text and the last digit of a number counts.
    assert parse_yaml(json.dumps(value)) == value


@settings(derandomize=True, max_examples=300, deadline=None)
@given(TEXTS)
def test_any_text_is_read_or_refused_in_one_line(text):
    message, value = outcome(text)
    assert "\n" not in message
    assert not message or "line " in message
    json.dumps(value).encode()


def outcome(text):
    """Message about a text, and what was read from it."""
    try:
        return "", parse_yaml(text)
    except YamlError as error:
        return str(error), None


def recipe(path):
    return load_recipe(str(path), ["tune"]).run_settings()


def bank(path):
    return PromptBank.load(path.parent)


SOME = list(FAULTS)[::5]  # what each reader makes of a fault does not depend on which it is


@pytest.mark.parametrize("read", [recipe, load_tasks, load_dictionary, bank])
@pytest.mark.parametrize("text", SOME, ids=range(len(SOME)))
def test_recipes_tasks_dictionaries_and_prompts_report_a_fault_in_one_line(tmp_path, read, text):
    path = tmp_path / "single.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((ValueError, ClickException), match=r"single\.yaml") as refused:
        read(path)
    assert getattr(refused.value, "exit_code", None) == 1
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", SOME, ids=range(len(SOME)))
def test_a_value_of_set_that_is_no_yaml_is_one_short_line(text):
    with pytest.raises(ClickException, match=r"^--set: a=") as refused:
        parse_assignment(f"a={text}")
    assert getattr(refused.value, "exit_code", None) == 1
    assert len(str(refused.value)) < 400
