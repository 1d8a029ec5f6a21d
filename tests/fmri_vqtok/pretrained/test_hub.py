import json
import os
import subprocess
import sys

import pytest
import yaml

from fmri_vqtok.errors import InputError
from fmri_vqtok.tokenizer import FMRITokenizer

ROUND_TRIP = """
import sys
from fmri_vqtok import FMRITokenizer
from fmri_vqtok.errors import InputError

tokenizer = FMRITokenizer.from_pretrained(sys.argv[1])
print(tokenizer.push_to_hub("me/brain", token="secret"))
print(FMRITokenizer.from_pretrained("me/brain").fingerprint == tokenizer.fingerprint)
for go in (
    lambda: tokenizer.push_to_hub("me/brain", token="wrong"),
    lambda: FMRITokenizer.from_pretrained("me/nothing"),
    lambda: tokenizer.push_to_hub("me/brain", token="secret", endpoint="http://127.0.0.1:9"),
):
    try:
        go()
    except InputError as error:
        print(error)
"""


def test_a_tokenizer_goes_to_a_hub_and_comes_back(hub, make_tokenizer, tmp_path):
    address, folder = hub.address, hub.folder
    here = tmp_path / "tokenizer"
    here.mkdir()
    make_tokenizer(labels=list("abcde")).save_pretrained(here)
    done = subprocess.run(
        [sys.executable, "-c", ROUND_TRIP, str(here)],
        env=hub.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    commit, same, refused, nothing, unreachable = done.stdout.splitlines()
    assert (commit, same) == (f"{address}/me/brain/commit/{'a' * 40}", "True")
    assert refused.startswith("me/brain: uploading it to the Hugging Face Hub failed (")
    assert "401" in refused
    assert refused.endswith("give `token`, and check the name and the network")
    assert nothing.startswith("me/nothing: no such folder, and fetching it from the Hugging Face")
    assert "failed (ConnectError: " in unreachable
    for name in ("config.json", "model.safetensors"):
        assert (folder / "me" / "brain" / name).read_bytes() == (here / name).read_bytes()
    card = (folder / "me" / "brain" / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "fmri-vqtok"


def test_without_a_network_the_message_names_folder_and_hub():
    load = "from fmri_vqtok import FMRITokenizer as F; F.from_pretrained('runs/tokenizer')"
    done = subprocess.run(
        [sys.executable, "-c", load],
        env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = done.stderr.splitlines()[-1]
    assert "runs/tokenizer: no such folder, and fetching it from the Hugging Face Hub" in last
    assert "give the folder of a fitted tokenizer, or owner/name of one that the Hub has" in last


def test_a_folder_of_that_name_comes_before_the_hub(make_tokenizer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me" / "brain").mkdir(parents=True)
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained("me/brain")
    assert FMRITokenizer.from_pretrained("me/brain").fingerprint == tokenizer.fingerprint


def test_without_huggingface_hub_the_message_names_the_extra_to_install(
    make_tokenizer, monkeypatch
):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "huggingface_hub" else found(n, *a)
    )
    with pytest.raises(InputError, match=r'huggingface_hub; pip install "fmri-vqtok\[hub\]"'):
        make_tokenizer().push_to_hub("me/brain")


def test_the_message_of_a_config_with_a_field_of_another_version_names_the_nearest(
    make_tokenizer, tmp_path
):
    make_tokenizer().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    description = json.loads(path.read_text())
    description["model"]["tokens_basis"] = "shared"
    path.write_text(json.dumps(description))
    with pytest.raises(
        InputError, match=r"config\.json: model\.tokens_basis: no such field .*'tok"
    ):
        FMRITokenizer.from_pretrained(tmp_path)
