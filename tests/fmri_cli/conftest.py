"""A small package with two stages and a plain command, where `fmri` finds it as it finds ours."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from fmri_cli.main import main

HERE = Path(__file__).parent
ENTRY_POINTS = (
    "[fmri.commands]\ndraw = tiny_stages:draw\nsum = tiny_stages:add\n"
    "[fmri.plain_commands]\nshow = tiny_stages:show\n"
)


def install_tiny(site: Path, version: str) -> None:
    site.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "tiny_stages.py", site)
    for old in site.glob("fmri_tiny-*.dist-info"):
        shutil.rmtree(old)
    info = site / f"fmri_tiny-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fmri-tiny\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)


@dataclass
class Tiny:
    """A run of the two stages, in this process."""

    root: Path
    site: Path
    capsys: pytest.CaptureFixture

    @property
    def source(self) -> Path:
        return self.root / "source.txt"

    @property
    def run(self) -> Path:
        return self.root / "run"

    def draw_line(self, *more: str) -> list[str]:
        return ["draw", str(self.source), "--out", str(self.run / "numbers"), *more]

    def sum_line(self, *more: str) -> list[str]:
        return ["sum", str(self.run / "numbers"), "--out", str(self.run / "total"), *more]

    def fmri(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of one command."""
        code = main(list(arguments))
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    def draw(self, *more: str) -> tuple[int, str, str]:
        return self.fmri(*self.draw_line(*more))

    def sum(self, *more: str) -> tuple[int, str, str]:
        return self.fmri(*self.sum_line(*more))

    def environment(self) -> dict[str, str]:
        """Environment in which other processes see the package too."""
        return os.environ | {"PYTHONPATH": str(self.site)}


@pytest.fixture
def tiny(tmp_path, monkeypatch, capsys):
    install_tiny(tmp_path / "site", "1.0.0")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "tiny_stages", raising=False)
    made = Tiny(tmp_path, tmp_path / "site", capsys)
    made.source.write_text("good\n")
    yield made
    sys.modules.pop("tiny_stages", None)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random Llama whose words are bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-base")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_alone = Tokenizer(models.BPE(vocab={c: k for k, c in enumerate(letters)}, merges=[]))
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    words = PreTrainedTokenizerFast(tokenizer_object=bytes_alone, eos_token="</s>", pad_token="<p>")
    words.save_pretrained(folder)
    config = LlamaConfig(
        hidden_size=16,
        intermediate_size=16,
        num_attention_heads=2,
        num_hidden_layers=2,
        vocab_size=len(words),
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder
