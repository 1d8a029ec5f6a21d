"""The model card, and a model that goes to a hub and comes back."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from fmri_llm.evaluation.scan_dependence import FILE, ScanDependence
from fmri_llm.model.fmri_lm import FMRILM

from .tiny import stir, tiny_tokenizer

ROUND_TRIP = """
import sys
import torch
from fmri_llm import FMRILM
from fmri_vqtok.errors import InputError

model = FMRILM.from_pretrained(sys.argv[1])
print(model.push_to_hub("me/scans", token="secret"))
codes = torch.zeros(1, 3, 5, dtype=torch.int64)
again = FMRILM.from_pretrained("me/scans")
print(torch.equal(again.forecast(codes), model.forecast(codes)))
print(again.scan_dependence == model.scan_dependence)
for go in (
    lambda: model.push_to_hub("me/scans", token="wrong"),
    lambda: FMRILM.from_pretrained("me/nothing"),
):
    try:
        go()
    except InputError as error:
        print(error)
"""

MEASURED = ScanDependence(
    n_scans=7,
    n_questions=31,
    n_by_domain={"FC": 31},
    question_auc={
        "own": {"FC": 0.71, "all": 0.715},
        "shuffled": {"FC": 0.5, "all": 0.512},
        "empty": {"FC": 0.5, "all": 0.503},
    },
    question_accuracy={"own": 0.613, "shuffled": 0.484, "empty": 0.516},
    caption_loss={"own": 1.111, "shuffled": 1.222, "empty": 1.333},
    retrieval=0.429,
    retrieval_chance=0.143,
    n_captions=3,
    n_directions=38,
    direction_agreement={"own": 0.789, "shuffled": 0.456, "empty": None},
)


@pytest.fixture
def saved(tmp_path, tiny_folder):
    """A model whose base is found by its path."""
    base = str(tiny_folder("llama"))
    model = FMRILM.from_base(base, tiny_tokenizer(base))
    stir(model)
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def card_of(folder):
    """Front matter and text of a model card."""
    _, front, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), text


def rows(text):
    """Cells of all rows of tables, by the first one of each."""
    lines = re.findall(r"^\| (.*) \|$", text, flags=re.MULTILINE)
    return {cells[0]: cells[1:] for cells in (line.split(" | ") for line in lines)}


def test_the_front_matter_names_a_base_of_the_hub_and_no_licence(saved, make_model, tmp_path):
    front, _ = card_of(saved)
    assert front["library_name"] == "fmri-llm"
    assert not {"license", "base_model"} & set(front)
    model = make_model("llama")
    model.base_name = "Qwen/Qwen3-0.6B"
    model.save_pretrained(tmp_path / "named")
    assert card_of(tmp_path / "named")[0]["base_model"] == "Qwen/Qwen3-0.6B"


def test_the_card_has_the_sizes_of_the_model_and_its_limits(saved):
    model, (_, text) = FMRILM.from_pretrained(saved), card_of(saved)
    cells = rows(text)
    n_adapters = sum(p.numel() for n, p in model.language_model.named_parameters() if "lora" in n)
    assert cells["adapters"] == [f"{n_adapters:,}"]
    assert cells["code head"] == [f"{32 * 11 + 11:,}"]
    assert cells["relation_tokens"] == ["8"]
    assert (cells["parcellation"], cells["regions"]) == (["five"], ["5"])
    assert model.base_digest in text
    assert "**Not for clinical use.**" in text
    assert str(saved) not in text
    assert "{" not in text


def test_the_card_says_that_nobody_measured_whether_answers_depend_on_the_scan(saved):
    assert "Not measured when this card was written" in card_of(saved)[1]


def test_the_card_shows_what_was_measured_of_these_weights(saved, tmp_path):
    MEASURED.write(saved)
    FMRILM.from_pretrained(saved).save_pretrained(tmp_path / "copy")
    text = card_of(tmp_path / "copy")[1]
    cells = rows(text)
    assert MEASURED.verdict in text
    assert "on 7 held-out scans with 31 questions" in " ".join(text.split())
    assert cells["area under the curve of above against below"] == ["0.715", "0.512", "0.503"]
    assert cells["share of questions answered right"] == ["0.613", "0.484", "0.516"]
    assert cells["loss of a caption's token, nats"] == ["1.111", "1.222", "1.333"]
    assert cells["directions in written captions that are true"] == ["0.789", "0.456", "–"]
    assert "0.429 (chance 0.143)" in text
    assert (tmp_path / "copy" / FILE).read_bytes() == (saved / FILE).read_bytes()


def test_what_was_measured_before_training_is_not_kept_after_it(saved):
    MEASURED.write(saved)
    model = FMRILM.from_pretrained(saved)
    model.train()
    model.save_pretrained(saved)
    assert not (saved / FILE).exists()
    assert MEASURED.verdict not in card_of(saved)[1]


def test_a_saved_model_is_saved_again_to_the_same_bytes(saved, tmp_path):
    MEASURED.write(saved)
    FMRILM.from_pretrained(saved).save_pretrained(saved)
    FMRILM.from_pretrained(saved).save_pretrained(tmp_path / "copy")
    for path in saved.rglob("*"):
        if path.is_file():
            copy = tmp_path / "copy" / path.relative_to(saved)
            assert copy.read_bytes() == path.read_bytes(), path.name


@pytest.mark.slow
def test_a_model_goes_to_a_hub_and_comes_back(hub, saved):
    MEASURED.write(saved)
    done = subprocess.run(
        [sys.executable, "-c", ROUND_TRIP, str(saved)],
        env=hub.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    commit, same, measured, refused, nothing = done.stdout.splitlines()
    assert (commit, same, measured) == (f"{hub.address}/me/scans/commit/{'a' * 40}", "True", "True")
    assert refused.startswith("me/scans: uploading it to the Hugging Face Hub failed (")
    assert nothing.startswith("me/nothing: no such folder, and fetching it from the Hugging Face")
    assert "give the folder of a fitted language model, or owner/name" in nothing
    uploaded = hub.folder / "me" / "scans"
    assert MEASURED.verdict in card_of(uploaded)[1]
    assert json.loads((uploaded / FILE).read_text())["n_scans"] == 7
    for name in ("config.json", "brain.safetensors", "adapter/adapter_model.safetensors"):
        assert (uploaded / name).read_bytes() == (saved / name).read_bytes()
