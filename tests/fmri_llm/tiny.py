"""What tiny models are made of: configurations, a text tokenizer and a tiny brain tokenizer."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from fmri_vqtok.tokenizer import FMRITokenizer, FMRITokenizerConfig

N_STEPS, N_REGIONS, N_CODES, WIDTH = 3, 5, 11, 32
ARCHITECTURES = ("gpt2", "llama", "qwen3", "gemma3")
PACKAGED = "smollm2-135m-instruct"


def tiny_tokenizer(text_space, width=WIDTH, **changes):
    """Random brain tokenizer in the text space of a model; the same one each time."""
    sizes = {
        "n_regions": N_REGIONS, "n_frames": N_STEPS * 4, "patch_frames": 4, "width": 8,
        "n_heads": 2, "encoder_depth": 1, "decoder_depth": 1, "n_codes": N_CODES, "code_width": 4,
    }  # fmt: skip
    config = FMRITokenizerConfig(**{**sizes, **changes}, text_space=text_space, text_width=width)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return FMRITokenizer(config, None, "five", "f1").eval()


MEASURES = ("the modularity of the connectome", "the fALFF of the Visual network")


def word_tokenizer():
    """Byte-level tokenizer of 256 bytes and three special tokens, without a chat template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: k for k, character in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def tiny_config(architecture, n_words):
    special = {"bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 258}
    if architecture == "gpt2":
        return GPT2Config(
            n_layer=2, n_head=4, n_embd=WIDTH, n_positions=256, vocab_size=n_words,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **special,
        )  # fmt: skip
    shared = {
        "hidden_size": WIDTH, "intermediate_size": 48, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": n_words, "max_position_embeddings": 256, **special,
    }  # fmt: skip
    if architecture == "llama":
        return LlamaConfig(num_hidden_layers=2, **shared)
    if architecture == "qwen3":
        return Qwen3Config(num_hidden_layers=2, head_dim=8, **shared)
    # Six layers make the pattern whole: five with a sliding window, then one without.
    return Gemma3TextConfig(num_hidden_layers=6, head_dim=8, sliding_window=4, **shared)


def stir(model, seed=1):
    """Give every trainable weight a random value, so that no path is silenced by a zero."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data += 0.1 * noise


def random_codes(n_windows, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, N_CODES, (n_windows, N_STEPS, N_REGIONS), generator=generator)


def random_filters(n_filters=3, seed=4):
    """Spatial filters (Q, N) without any zero."""
    return torch.randn(n_filters, N_REGIONS, generator=torch.Generator().manual_seed(seed))
