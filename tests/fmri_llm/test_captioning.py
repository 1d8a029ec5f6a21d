"""`fmri caption`: which scans are described, and what is written about them."""

import json

import datasets
import pytest

from fmri_cli.main import main
from fmri_llm.captioning import describe_scans, find_scans
from fmri_llm.data.captions import DESCRIBE_PROMPTS
from fmri_llm.data.examples import scans_of
from fmri_llm.inference.decoding import Decoding
from fmri_llm.model.fmri_lm import FMRILM
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.captions import read_captions
from fmri_vqtok.formats.json_files import write_json

from .data.test_examples import token_table
from .tiny import N_CODES, N_REGIONS, N_STEPS, stir, tiny_tokenizer

SHORT = Decoding(max_new_tokens=5)
SPLIT_SCANS = {"train": ["s1", "s1", "s2"], "validation": [], "test": ["t1", "t2", "t2"]}


@pytest.fixture
def tokens(tmp_path):
    """Tokens of four scans; of the test split, one has one window and the other two."""
    folder = tmp_path / "tokens"
    tables = {name: token_table(ids) for name, ids in SPLIT_SCANS.items() if ids}
    datasets.DatasetDict(tables).save_to_disk(str(folder))
    record = {
        "schema": 1, "order_hash": "f1", "n_codes": N_CODES, "n_steps": N_STEPS,
        "n_regions": N_REGIONS, "tokenizer": None,
    }  # fmt: skip
    write_json(record, folder / "tokens.json")
    return folder


@pytest.fixture
def saved(tmp_path, tokens, tiny_folder):
    """A trained model whose base is found by its path, and whose tokens those of `tokens` are."""
    base = str(tiny_folder("llama"))
    model = FMRILM.from_base(base, tiny_tokenizer(base))
    stir(model)
    model.save_pretrained(tmp_path / "model")
    record = json.loads((tokens / "tokens.json").read_text())
    record["tokenizer"] = model.brain_tokenizer.fingerprint
    write_json(record, tokens / "tokens.json")
    return tmp_path / "model"


def fmri(capsys, *arguments):
    """Exit code, lines of standard output, and standard error."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def test_without_names_the_held_out_scans_are_described(tokens):
    assert [scan.scan_id for scan in find_scans(tokens)] == ["t1", "t2"]
    assert [scan.scan_id for scan in find_scans(tokens, split="train")] == ["s1", "s2"]


def test_named_scans_come_in_their_order_from_any_split(tokens):
    found = find_scans(tokens, ["t2", "s1", "t2"])
    assert [(scan.scan_id, scan.split) for scan in found] == [("t2", "test"), ("s1", "train")]


def test_an_unknown_scan_is_refused_with_the_nearest_name(tokens):
    with pytest.raises(InputError, match=r"^x2: no such scan in .*tokens; did you mean '[st]2'\?"):
        find_scans(tokens, ["t1", "x2"])
    with pytest.raises(InputError, match=r"^t1: .*tokens, split 'train'; did you mean 's1'\?"):
        find_scans(tokens, ["t1"], "train")


def test_a_split_without_scans_names_those_that_have_some(tokens):
    with pytest.raises(InputError, match=r"no scan in the split 'validation'.*'train' or 'test'"):
        find_scans(tokens, split="validation")


def test_a_description_is_the_answer_to_the_prompt_of_training(tiny_model, tokens):
    scans = find_scans(tokens)
    captions = list(describe_scans(tiny_model, scans, ["graph", "FC"], SHORT, batch_size=2))
    shown = [(each.scan_id, each.domain) for each in captions]
    assert shown == [("t1", "graph"), ("t1", "FC"), ("t2", "graph"), ("t2", "FC")]
    alone = scans_of([scans[1].tokens])
    expected = tiny_model.generate_text(alone, DESCRIBE_PROMPTS["FC"], max_new_tokens=5)[0]
    assert captions[3].text == " ".join(expected.split())


def test_a_drawn_description_does_not_depend_on_the_other_scans(tiny_model, tokens):
    drawn = Decoding(max_new_tokens=5, temperature=1.5)
    both = list(describe_scans(tiny_model, find_scans(tokens), ["FC", "ICA"], drawn, seed=3))
    one = list(describe_scans(tiny_model, find_scans(tokens, ["t2"]), ["ICA"], drawn, seed=3))
    assert both[3:] == one
    assert len({each.text for each in both}) > 1


def test_the_command_writes_rows_that_captions_are_read_from(saved, tokens, tmp_path, capsys):
    line = ("caption", saved, tokens, "--json", "--max-new-tokens", 8, "--domain", "FC")
    code, rows, err = fmri(capsys, *line)
    assert (code, err) == (0, "")
    (tmp_path / "captions.jsonl").write_text("\n".join(rows))
    model = FMRILM.from_pretrained(saved)
    found = describe_scans(model, find_scans(tokens), ["FC"], Decoding(max_new_tokens=8))
    expected = {each.scan_id: {"FC": each.text} for each in found}
    assert read_captions(tmp_path / "captions.jsonl") == expected
    assert json.loads(rows[0])["split"] == "test"


def test_the_command_lists_domains_below_each_scan(saved, tokens, capsys):
    code, lines, _ = fmri(capsys, "caption", saved, tokens, "t1", "s2", "--max-new-tokens", 3)
    assert code == 0
    starts = [line.partition(":")[0] for line in lines]
    domains = [
        "  functional connectivity", "  functional gradients", "  independent components",
        "  graph measures",
    ]  # fmt: skip
    assert starts == ["t1 (test)", *domains, "s2 (train)", *domains]
    assert all(line.isprintable() for line in lines)


def test_a_wrong_scan_or_value_is_refused_before_the_model_is_read(tokens, tmp_path, capsys):
    nowhere = tmp_path / "no-model"
    code, _, err = fmri(capsys, "caption", nowhere, tokens, "t3")
    assert (code, err.startswith("fmri: t3: no such scan in ")) == (1, True)
    code, _, err = fmri(capsys, "caption", nowhere, tokens, "--top-p", "0.5")
    assert (code, err.startswith("fmri: top_p: 0.5, but at temperature 0")) == (1, True)


def test_tokens_of_another_tokenizer_are_not_described(saved, tokens, capsys):
    record = json.loads((tokens / "tokens.json").read_text())
    write_json({**record, "tokenizer": "another"}, tokens / "tokens.json")
    code, lines, err = fmri(capsys, "caption", saved, tokens)
    assert (code, lines) == (1, [])
    assert "its tokens were made by tokenizer another" in err
