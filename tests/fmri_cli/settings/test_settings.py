"""Recipes and `--set`: right values arrive, wrong ones are named with their place and the fix."""

import click
import pytest

from fmri_cli.run.pipeline import COMMANDS
from fmri_cli.settings.parsing import parse_settings
from fmri_cli.settings.recipes import Recipe, load_recipe

from ..tiny_stages import DrawSettings, SumSettings


def settings_of(tmp_path, text, section, settings_class):
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    return load_recipe(str(path), ["draw", "sum"]).settings(section, settings_class)


def test_absent_fields_keep_their_defaults(tmp_path):
    assert settings_of(tmp_path, "draw:\n  scale: 2.5\n", "draw", DrawSettings) == DrawSettings(
        scale=2.5
    )


def test_an_empty_section_is_all_defaults(tmp_path):
    assert settings_of(tmp_path, "draw:\n", "draw", DrawSettings) == DrawSettings()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("scale: 1e-3", DrawSettings(scale=0.001)),
        ("scale: 2", DrawSettings(scale=2.0)),
        ('names: ["102816", NAP_001]', DrawSettings(names=("102816", "NAP_001"))),
        ("note: null", DrawSettings(note=None)),
        ("note: 2020-01-01", DrawSettings(note="2020-01-01")),
        ("note: off", DrawSettings(note="off")),
    ],
)
def test_values_arrive_in_the_declared_type(tmp_path, written, meant):
    assert settings_of(tmp_path, f"draw:\n  {written}\n", "draw", DrawSettings) == meant


@pytest.mark.parametrize(
    ("text", "section", "message"),
    [
        ("drow: {}", "draw", "lab.yaml: drow: unknown key; did you mean 'draw'?"),
        ("sed: 3", "draw", "lab.yaml: sed: unknown key; did you mean 'seed'?"),
        (
            "draw: {cuont: 3}",
            "draw",
            "lab.yaml: draw.cuont: unknown key; did you mean 'count'?",
        ),
        (
            "draw: {xyz: 3}",
            "draw",
            "lab.yaml: draw.xyz: unknown key; known are: count, names, note, scale",
        ),
        (
            "sum: {loop: {step: 3}}",
            "sum",
            "lab.yaml: sum.loop.step: unknown key; did you mean 'steps'?",
        ),
        (
            "sum: {loop: {steps: many}}",
            "sum",
            'lab.yaml: sum.loop.steps: "many"; give an integer',
        ),
        ("sum: {loop: {steps: 2.5}}", "sum", "lab.yaml: sum.loop.steps: 2.5; give an integer"),
        ("sum: {loop: 3}", "sum", "lab.yaml: sum.loop: 3; give a mapping of settings"),
        ("sum: {loop: {steps: 0}}", "sum", "lab.yaml: sum.loop.steps: 0; give at least 1"),
        ("draw: {scale: '1,5'}", "draw", 'lab.yaml: draw.scale: "1,5"; give a number'),
        ("draw: {scale: true}", "draw", "lab.yaml: draw.scale: true; give a number"),
        (
            "draw: {names: [102816]}",
            "draw",
            "lab.yaml: draw.names.0: 102816; give text (put it in quotes)",
        ),
        ("draw: {names: one}", "draw", 'lab.yaml: draw.names: "one"; give a list'),
        ("draw: 3", "draw", "lab.yaml: draw: 3; give a mapping of settings"),
        ("- draw", "draw", "lab.yaml: holds no mapping"),
        ("draw: {count: 1, count: 2}", "draw", "lab.yaml: key 'count' is given twice, line 1"),
        ("draw: [", "draw", "lab.yaml: "),
        ("{{ draw }}: 3", "draw", "lab.yaml: a key has to be text, line 1"),
    ],
)
def test_a_mistake_is_named_with_file_key_value_and_fix(tmp_path, text, section, message):
    with pytest.raises(click.ClickException) as caught:
        settings_of(tmp_path, text, section, {"draw": DrawSettings, "sum": SumSettings}[section])
    assert message in str(caught.value)


def test_set_goes_over_the_recipe_and_leaves_the_rest(tmp_path):
    path = tmp_path / "lab.yaml"
    path.write_text("draw: {count: 5, scale: 3.0}\n")
    recipe = load_recipe(str(path), ["draw"]).with_sets(["count=7"], "draw")
    assert recipe.settings("draw", DrawSettings) == DrawSettings(count=7, scale=3.0)


def test_set_reaches_into_nested_settings():
    recipe = Recipe().with_sets(["sum.loop.steps=9"], "")
    assert recipe.settings("sum", SumSettings).loop.steps == 9


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("loop.steps=0", "--set: sum.loop.steps: 0; give at least 1"),
        ("loop.stps=1", "--set: sum.loop.stps: unknown key; did you mean 'steps'?"),
        ("loop.steps=x", '--set: sum.loop.steps: "x"; give an integer'),
        ("loop.steps", "--set: loop.steps; write it as key=value"),
        ("=3", "--set: =3; write it as key=value"),
        ("loop.steps=[", "--set: loop.steps=[; the value is not YAML"),
    ],
)
def test_a_mistake_in_set_is_not_blamed_on_the_recipe(assignment, message):
    with pytest.raises(click.ClickException) as caught:
        Recipe(label="lab.yaml").with_sets([assignment], "sum").settings("sum", SumSettings)
    assert message in str(caught.value)


def test_a_required_field_that_is_missing_is_named():
    from dataclasses import make_dataclass

    needy = make_dataclass("Needy", [("width", int)], frozen=True, kw_only=True)
    with pytest.raises(click.ClickException, match=r"fit\.width: has no value; give one"):
        parse_settings(needy, {}, "fit", lambda _key: "")


def test_a_recipe_that_is_not_there_is_named_with_the_built_in_ones():
    with pytest.raises(
        click.ClickException, match=r"absent\.yaml: no such recipe; .*built-in: demo"
    ):
        load_recipe("absent.yaml", COMMANDS)


def test_every_command_of_the_demo_recipe_is_a_stage():
    assert set(load_recipe("demo", COMMANDS).sections) <= set(COMMANDS)


def test_an_unknown_key_in_a_list_of_mappings_is_named():
    from dataclasses import dataclass

    from fmri_cli.settings.parsing import check_keys

    @dataclass(frozen=True)
    class Site:
        tr: float = 2.0

    @dataclass(frozen=True)
    class Listed:
        sites: tuple[Site, ...] = ()

    with pytest.raises(
        click.ClickException, match=r"section\.sites\.tt: unknown key; did you mean 'tr'\?"
    ):
        check_keys(Listed, {"sites": [{"tr": 2.0}, {"tt": 1.0}]}, "section", lambda _: "")
