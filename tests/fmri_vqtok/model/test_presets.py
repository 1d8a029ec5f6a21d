import pytest
import torch

from fmri_vqtok import FMRITokenizer, FMRITokenizerConfig
from fmri_vqtok.config.model import PRESETS
from fmri_vqtok.errors import InputError

PUBLISHED = {"S": 46e6, "B": 174e6, "L": 610e6}
ALL = pytest.mark.parametrize("name", PRESETS)


def without_memory(name, **changes):
    with torch.device("meta"):
        return FMRITokenizer(FMRITokenizerConfig.preset(name, n_regions=450, **changes))


def n_trainable(tokenizer):
    return sum(p.numel() for p in tokenizer.parameters() if p.requires_grad)


@pytest.mark.parametrize("text_width", [None, 768])
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_sizes_are_met_within_two_per_cent(name, text_width):
    n = n_trainable(without_memory(name, text_width=text_width))
    assert n == pytest.approx(PUBLISHED[name], rel=0.02)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("changes", [{"attention": "factorised"}, {"quantizer": "fsq"}])
def test_neither_factorised_attention_nor_another_quantizer_changes_the_size(name, changes):
    assert n_trainable(without_memory(name, **changes)) == pytest.approx(PUBLISHED[name], rel=0.02)


@ALL
def test_a_preset_with_fewer_blocks_and_codes_goes_there_and_back(name):
    config = FMRITokenizerConfig.preset(
        name, n_regions=3, n_frames=64, encoder_depth=1, decoder_depth=1, n_codes=40
    )
    torch.manual_seed(0)
    tokenizer = FMRITokenizer(config).train()
    x = torch.randn(30, 64, 3)
    tokenizer.initialise(x, torch.Generator().manual_seed(0))
    out = tokenizer(x)
    (out.signal.square().mean() + sum(out.losses.values())).backward()
    assert {n for n, p in tokenizer.named_parameters() if p.grad is None} == set()
    codes = tokenizer.eval().encode(x).codes
    assert (tuple(codes.shape), int(codes.max()) < 40) == ((30, 2, 3), True)
    assert tokenizer.decode(codes).shape == x.shape


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_token_wider_than_a_patch_still_starts_as_a_transform_coder(name):
    # 128 components a token, but a patch has 32 frames: with a code for each vector the start
    # gives the signal back, up to what fresh blocks add.
    config = FMRITokenizerConfig.preset(
        name, n_regions=3, n_frames=64, encoder_depth=1, decoder_depth=1, n_codes=60
    )
    torch.manual_seed(0)
    tokenizer = FMRITokenizer(config).eval()
    x = torch.randn(10, 64, 3)
    tokenizer.initialise(x, torch.Generator().manual_seed(0))
    error = (tokenizer(x).signal - x).square().sum() / x.square().sum()
    assert error < 0.05


@ALL
def test_a_light_decoder_has_a_sixth_of_the_blocks(name):
    config = FMRITokenizerConfig.preset(name, n_regions=3, decoder="light")
    depth = config.encoder_depth
    assert config.decoder_depth == max(1, depth // 6)
    assert FMRITokenizerConfig.preset(name, n_regions=3).decoder_depth == depth


def test_a_decoder_without_blocks_is_a_linear_head(make_tokenizer):
    tokenizer = make_tokenizer(decoder_depth=0)
    a, b, c = (torch.randn(1, 3, 5, 16) for _ in range(3))
    together = tokenizer.decoder(a + b - c)
    apart = tokenizer.decoder(a) + tokenizer.decoder(b) - tokenizer.decoder(c)
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)


def test_an_unknown_decoder_is_refused():
    with pytest.raises(InputError, match="decoder: 'lite'; give one of 'full', 'light'"):
        FMRITokenizerConfig.preset("S", n_regions=3, decoder="lite")
