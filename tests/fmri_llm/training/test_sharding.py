"""The recipe for sharded weights: what accelerate makes of it for our models."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_auto_wrap_policy
from accelerate.utils.launch import prepare_multi_gpu_env

from fmri_llm.model.fmri_lm import FMRILM
from fmri_vqtok.training.log import read_losses

from ..tiny import ARCHITECTURES, random_codes
from .test_base_training import fresh
from .test_training import tune_and_validate

PAGE = Path(__file__).parents[3] / "docs" / "sharded-training.md"
BLOCKS = {
    "gpt2": "GPT2Block",
    "llama": "LlamaDecoderLayer",
    "qwen3": "Qwen3DecoderLayer",
    "gemma3": "Gemma3DecoderLayer",
}


@pytest.fixture
def recipe(tmp_path):
    """Environment that `accelerate launch` gives its processes by the page's recipe."""
    (content,) = re.findall(r"```yaml\n(# fsdp.yaml\n.*?)```", PAGE.read_text(), flags=re.DOTALL)
    (tmp_path / "fsdp.yaml").write_text(content)
    given = ["--config_file", str(tmp_path / "fsdp.yaml"), "-m", "fmri_cli"]
    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args(given))
    return prepare_multi_gpu_env(arguments)


@pytest.fixture
def plugin(recipe, monkeypatch):
    """Plugin that such a process gets."""
    for name, value in recipe.items():
        monkeypatch.setenv(name, value)
    return FullyShardedDataParallelPlugin()


@pytest.mark.parametrize("base_training", ["adapters", "full"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_recipe_shards_the_blocks_of_a_base_and_nothing_else(
    make_model, plugin, architecture, base_training
):
    model = make_model(architecture, base_training=base_training)
    plugin.set_auto_wrap_policy(model)
    is_sharded = fsdp2_prepare_auto_wrap_policy(plugin, model)
    kinds = [type(module).__name__ for module in model.modules() if is_sharded(module)]
    assert kinds == [BLOCKS[architecture]] * model.language_model.config.num_hidden_layers


def test_the_recipe_keeps_whole_state_and_fills_no_shard_from_it(plugin):
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.state_dict_type.name == "FULL_STATE_DICT"
    assert plugin.cpu_ram_efficient_loading is False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "base_training"), [("llama", "adapters"), ("gpt2", "full")]
)
def test_a_sharded_run_that_resumes_writes_the_losses_and_weights_of_a_whole_one(
    tiny_folder, tmp_path, recipe, architecture, base_training
):
    """GPT-2 ties its output layer to its embeddings."""
    folder = tiny_folder(architecture)
    alone = tune_and_validate(fresh(folder, base_training, architecture), tmp_path / "alone", 4)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "tests.fmri_llm.sharded_run", folder, tmp_path / "sharded", architecture,
        base_training,
    ]  # fmt: skip
    kept = {name: value for name, value in recipe.items() if name.startswith("FSDP")}
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, **kept, "ACCELERATE_USE_FSDP": "true"},
        cwd=PAGE.parents[1], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for one, two in zip(alone, read_losses(tmp_path / "sharded" / "losses.csv"), strict=True):
        assert two[:3] == one[:3]
        assert two.value == pytest.approx(one.value, rel=1e-4)
    whole, shards = (
        FMRILM.from_pretrained(tmp_path / name, base=folder) for name in ("alone", "sharded")
    )
    codes = random_codes(2)
    torch.testing.assert_close(shards.forecast(codes), whole.forecast(codes), atol=1e-3, rtol=1e-3)
