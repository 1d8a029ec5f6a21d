"""A language model small enough to tune in a test: real classes, random weights."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from fmri_instruct.prompts.paraphrases import BANK
from fmri_llm.model.fmri_lm import FMRILM
from fmri_llm.settings import LoraSettings
from fmri_vqtok.tokenizer import FMRITokenizer, FMRITokenizerConfig

WIDTH = 32
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>\n"
    "{% endfor %}"
)


def write_base(directory: Path) -> Path:
    """Write a two-layer Llama over pieces of words, with a chat template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    # Merges learned from the prompts keep the sequences short, and so the tests quick.
    trainer = trainers.BpeTrainer(
        vocab_size=800, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train(sorted(map(str, BANK.glob("*.yaml"))), trainer)
    tokenizer.decoder = decoders.ByteLevel()
    words = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|start|>", eos_token="<|end|>", pad_token="<|pad|>"
    )
    words.add_special_tokens({"extra_special_tokens": ["<|user|>", "<|assistant|>"]})
    words.chat_template = TEMPLATE
    config = LlamaConfig(
        hidden_size=WIDTH,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=len(words),
        max_position_embeddings=1024,
        initializer_range=0.3,  # random weights of the usual size make every text alike
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(directory)
    words.save_pretrained(directory)
    return directory


def fresh_model(base: Path, n_regions: int, n_codes: int, **kwargs) -> FMRILM:
    """Model over brain tokens on that base, with adapters that do something."""
    torch.manual_seed(1)
    config = FMRITokenizerConfig(
        n_regions=n_regions,
        n_frames=32,
        patch_frames=16,
        width=16,
        n_heads=2,
        encoder_depth=1,
        decoder_depth=1,
        n_codes=n_codes,
        code_width=4,
        text_width=WIDTH,
        text_space=str(base),
    )
    tokenizer = FMRITokenizer(config, None, "five", "five").eval()
    filters = torch.randn(3, n_regions)
    model = FMRILM.from_base(base, tokenizer, lora=LoraSettings(rank=4), filters=filters, **kwargs)
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def write_model(base: Path, directory: Path, n_regions: int, n_codes: int) -> Path:
    """Write such a model."""
    directory.mkdir(exist_ok=True)
    fresh_model(base, n_regions, n_codes).save_pretrained(directory)
    return directory
