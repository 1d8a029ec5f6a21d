"""A user's own templates: what they replace, and how a fault in one is reported."""

import pickle

import pytest

from fmri_descriptors import InputError
from fmri_descriptors.registry import DESCRIPTORS
from fmri_descriptors.text.render import load_templates, render_descriptor, render_paragraph
from fmri_descriptors.text.templating import TEMPLATE_NAMES, Templates, package_templates
from fmri_descriptors.text.values import FeatureValue

ROWS = {row.name: row for row in DESCRIPTORS}
VALUE = [FeatureValue("graph.modularity", 0.41, 1.5)]


@pytest.fixture
def own(tmp_path):
    """Write a template of the user's and return its folder."""

    def write(text, name="graph_modularity"):
        (tmp_path / f"{name}.jinja").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def complaint(folder):
    with pytest.raises(InputError) as caught:
        load_templates(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_descriptor_has_a_template_file_of_its_own():
    assert {row.name for row in DESCRIPTORS} < set(TEMPLATE_NAMES)
    assert all(package_templates().n_phrasings(row.name) >= 3 for row in DESCRIPTORS)


@pytest.mark.parametrize("row", DESCRIPTORS, ids=lambda row: row.name)
def test_any_template_can_be_replaced_by_name(own, row):
    templates = load_templates(own("my own words.\n", row.name))
    place = {"value": (), "networks": ("A",)}.get(row.kind, ("A", "B"))
    values = [FeatureValue("x", 0.5, 0.5, place)]
    assert render_descriptor(row, values, 5, templates) == ["my own words."]


def test_templates_that_are_not_replaced_stay(own):
    templates = load_templates(own("my own words.\n"))
    row = ROWS["graph_mean_clustering"]
    assert render_descriptor(row, VALUE, 1, templates) == render_descriptor(row, VALUE, 1)


def test_a_line_of_dashes_parts_phrasings(own):
    templates = load_templates(own("one {{ item.value | number }}.\n---\ntwo {{ item.z | z }}.\n"))
    texts = [render_descriptor(ROWS["graph_modularity"], VALUE, i, templates) for i in range(3)]
    assert texts == [["one 0.41."], ["two 1.50."], ["one 0.41."]]


def test_a_users_template_can_call_the_shared_shapes(own):
    templates = load_templates(own('{{ subject_first("my measure", groups) }}', "ica_falff"))
    values = [FeatureValue("x", 0.5, 1.5, ("A",))]
    assert render_descriptor(ROWS["ica_falff"], values, 0, templates) == [
        "my measure is above the typical range in the A network (0.50, z 1.50)."
    ]


def test_the_captions_connecting_words_can_be_replaced(own):
    from fmri_descriptors.text.render import Part

    templates = load_templates(
        own("{% for part in parts %}* {{ part.text }} {% endfor %}", "caption")
    )
    parts = [Part("A.", "first", joins=True), Part("B.", "same", joins=True)]
    (sentence,) = render_paragraph("FC", parts, 0, templates)
    assert sentence.text == "* A. * B."


def test_a_syntax_error_names_file_and_line(own):
    message = complaint(own("fine.\n---\nalso fine.\n{% if item %}\n"))
    assert message.startswith(f"{own('x')}/graph_modularity.jinja, line 4: ")


def test_an_unknown_filter_names_file_and_line(own):
    message = complaint(own("\n{{ item | shout }}\n"))
    assert message.endswith("graph_modularity.jinja, line 2: No filter named 'shout'.")


def test_an_undefined_variable_names_file_and_line(own):
    message = complaint(own("fine.\n---\nso is\nthis {{ modularity }}.\n"))
    assert "graph_modularity.jinja, line 4: 'modularity' is undefined" in message


def test_a_fault_that_only_a_falling_value_meets_is_found_before_any_scan(own):
    message = complaint(own("{% if item.z < 0 %}\n{{ oops }}\n{% endif %}fine."))
    assert "graph_modularity.jinja, line 2: 'oops' is undefined" in message


def test_a_way_out_of_the_sandbox_names_file_and_line(own):
    message = complaint(own("\n{{ ''.__class__.__mro__[1].__subclasses__() }}\n"))
    assert "graph_modularity.jinja, line 2: " in message
    assert "unsafe" in message


@pytest.mark.parametrize(
    "text",
    [
        "{% include '/etc/passwd' %}",
        "{% include '../secret' %}",
        "{{ values.append(1) }}",
        "{{ 1 / 0 }}",
        "{{ item.value + 'a' }}",
        "{{ range(10000000) | list }}",
        "{{ item.nothing }}",
        "{{ 'a'.join(3) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_other_faults_are_one_line_with_file_and_line(own, text):
    assert "graph_modularity.jinja, line 2: " in complaint(own(f"\n{text}\n"))


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 1000000000 }}",
        "{{ 1000000000 * ['a'] }}",
        "{{ 9 ** 999999999 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ 'a'.ljust(999999999) }}",
        "{{ 'a' | center(999999999) }}",
        "{% set n = namespace(s='a') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{%endfor%}",
        "{% set n = namespace(s='a') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{%endfor%}",
        "{% set n = namespace(s=2) %}{% for i in range(99) %}{% set n.s = n.s * n.s %}{% endfor %}",
        "{% for i in range(999) %}{{ 'a' * 999 }}{% endfor %}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ ('a' * 90000).replace('a', 'b' * 90000) }}",
        "{%set n=namespace(s='a')%}{%for i in range(99)%}{%set n.s%}{{n.s*2}}{%endset%}{%endfor%}",
        "{{ lipsum(n=999999) }}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    ],
)
def test_a_template_cannot_grow_without_end(own, text):
    assert "graph_modularity" in complaint(own(text))


def test_a_template_cannot_run_without_end(own, monkeypatch):
    monkeypatch.setattr("fmri_descriptors.text.template_limits.SECONDS", 0.2)
    loops = "{% for a in range(9999) %}" * 4 + "{% endfor %}" * 4
    assert "runs for more than 0 s; write a shorter loop" in complaint(own(f"x{loops}"))
    twice = "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    assert "runs for more than 0 s; write a shorter loop" in complaint(
        own(f"{twice}x{{{{ f(90) }}}}")
    )


def test_a_fault_in_the_users_shared_shapes_names_that_file(own, tmp_path):
    own("{% macro subject_first(a, b, c) %}\n{{ d }}\n{% endmacro %}", "macros")
    assert f"{tmp_path}/macros.jinja, line 2: 'd' is undefined" in complaint(tmp_path)


def test_a_syntax_error_in_the_shared_shapes_names_file_and_line(own):
    assert "macros.jinja, line 2: " in complaint(own("\n{% macro %}", "macros"))


def test_a_misspelt_name_gets_the_nearest(own):
    message = complaint(own("x", "graph_modularty"))
    assert message.endswith("no template has this name; the nearest is graph_modularity.jinja")


def test_a_template_that_writes_nothing_is_refused(own):
    assert "graph_modularity.jinja, line 3: a phrasing without text" in complaint(own("a\n---\n"))
    assert "phrasing 1 writes no text" in complaint(own("{# nothing #}"))


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"is no folder; give one with \.jinja files"):
        load_templates(tmp_path / "none")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "caption.jinja").write_bytes(b"\xff\xfe\x00")
    assert "caption.jinja: cannot be read as UTF-8 text" in complaint(tmp_path)


def test_templates_travel_to_other_processes(own):
    templates = pickle.loads(pickle.dumps(Templates(own("my own words.\n"))))
    assert render_descriptor(ROWS["graph_modularity"], VALUE, 0, templates) == ["my own words."]


def test_the_users_files_are_listed(own, tmp_path):
    assert Templates(own("x.")).overrides == (tmp_path / "graph_modularity.jinja",)
    assert package_templates().overrides == ()
