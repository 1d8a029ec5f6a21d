import math
import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from fmri_vqtok.alignment.adversarial import (
    CHANCE,
    DomainClassifier,
    domain_loss,
    reversal_strength,
    reverse_gradient,
)
from fmri_vqtok.alignment.alignment import TextAlignment
from fmri_vqtok.alignment.contrastive import CONTRASTS, InfoNCE, SigLIP
from fmri_vqtok.alignment.pooling import AttentionPooling, make_pooling, pool_scans

POOLINGS = ("mean", "attention", "relations")
KINDS = [(contrast, pooling) for contrast in CONTRASTS for pooling in POOLINGS]


def make_alignment(contrast="infonce", pooling="mean"):
    torch.manual_seed(0)
    captions = torch.randn(3, 6)
    options = {"contrast": contrast, "pooling": pooling, "n_relations": 5}
    module = TextAlignment(torch.randn(20, 6), captions, captions.mean(dim=0), **options)
    module.set_progress(1.0)
    return module


def make_batch():
    generator = torch.Generator().manual_seed(1)
    return {
        "brain": torch.randn(3, 2, 4, 6, generator=generator),
        "region_mask": torch.rand(3, 4, generator=generator) < 0.7,
        "scans": torch.arange(3),
        "text_ids": torch.randint(20, (3, 5), generator=generator),
        "features": torch.randn(3, 5, generator=generator),
    }


def at_scale(contrast, scale, bias=0.0):
    """Contrast whose cosines are multiplied by so much."""
    contrast.log_scale.data.fill_(math.log(scale))
    if isinstance(contrast, SigLIP):
        contrast.bias.data.fill_(bias)
    return contrast


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return DomainClassifier(6)


def test_reversal_keeps_values_and_negates_the_gradient():
    x = torch.randn(3, requires_grad=True)
    y = reverse_gradient(x, 0.25)
    y.backward(torch.tensor([1.0, 2.0, -4.0]))
    assert torch.equal(y, x)
    assert x.grad.tolist() == [-0.25, -0.5, 1.0]


def test_the_reversal_starts_at_zero_and_ends_near_one():
    assert reversal_strength(0) == 0
    assert reversal_strength(1) == pytest.approx(1, abs=1e-3)


def test_the_encoder_gets_the_opposite_of_the_gradient_that_would_help_the_classifier(classifier):
    brain = torch.randn(5, 6, requires_grad=True)
    text = torch.randn(4, 6)
    (reversed_,) = torch.autograd.grad(domain_loss(classifier, brain, text, 1.0), brain)
    plain = -functional.logsigmoid(classifier(brain)).mean() / 2
    (helping,) = torch.autograd.grad(plain, brain)
    assert helping.abs().max() > 0
    assert torch.allclose(reversed_, -helping)


@pytest.mark.parametrize(("n_brain", "n_text"), [(1, 1), (190, 10), (3, 40)])
def test_at_indifference_the_gradient_is_the_closed_form_whatever_the_numbers(n_brain, n_text):
    class Linear(torch.nn.Module):
        """Classifier with logit w x + b, which is 0 for what is below."""

        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
            self.b = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x):
            return x @ self.w + self.b

    torch.manual_seed(0)
    linear, across = Linear(), torch.tensor([4.0, -3.0])
    brain = (torch.randn(n_brain, 1) * across).requires_grad_()
    text = torch.randn(n_text, 1) * across
    loss = domain_loss(linear, brain, text, 0.5)
    loss.backward()
    assert loss.item() == pytest.approx(CHANCE, rel=1e-6)
    # Half the mean of softplus(-logit): its slope at 0 is -1 / (4 n), reversed at half strength.
    assert torch.allclose(brain.grad, 0.5 / (4 * n_brain) * linear.w.detach().expand(n_brain, 2))
    # Neither answer pays: a mean over all embeddings would pull towards the larger side.
    assert linear.b.grad.item() == pytest.approx(0.0, abs=1e-6)
    expected = text.mean(dim=0) / 4 - brain.detach().mean(dim=0) / 4
    assert torch.allclose(linear.w.grad, expected, atol=1e-6)


def test_at_strength_zero_only_the_classifier_gets_a_gradient(classifier):
    brain = torch.randn(5, 6, requires_grad=True)
    domain_loss(classifier, brain, torch.randn(4, 6), reversal_strength(0.0)).backward()
    assert not brain.grad.any()
    assert classifier.layers[1].weight.grad.abs().max() > 0


def test_the_classifier_learns_from_both_sides_and_text_from_none(classifier):
    brain = torch.randn(5, 6, requires_grad=True)
    text = torch.randn(4, 6, requires_grad=True)
    losses = []
    for b, t in ((brain, text), (brain, text * torch.randn(6)), (brain * torch.randn(6), text)):
        classifier.zero_grad()
        domain_loss(classifier, b, t, 1.0).backward()
        losses.append(classifier.layers[1].weight.grad.clone())
    assert text.grad is None
    assert not torch.allclose(losses[0], losses[1])
    assert not torch.allclose(losses[0], losses[2])


# Cosines: brain 0 with text 0, 1 is 1, 0; brain 1 with them 0.6, 0.8.
BRAIN = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
TEXT = torch.tensor([[2.0, 0.0], [0.0, 5.0]])


def test_infonce_equals_the_hand_computed_softmax():
    expected = -0.5 * (
        math.log(math.exp(2) / (math.exp(2) + math.exp(0)))
        + math.log(math.exp(1.6) / (math.exp(1.2) + math.exp(1.6)))
    )
    loss = at_scale(InfoNCE(), 2.0)(BRAIN, TEXT)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_siglip_equals_the_hand_computed_sigmoids():
    # Logits at scale 2 and bias -1: own pairs 1 and 0.6; the others -1 and 0.2.
    expected = (
        math.log(1 + math.exp(-1.0)) + math.log(1 + math.exp(-0.6))
        + math.log(1 + math.exp(-1.0)) + math.log(1 + math.exp(0.2))
    ) / 2  # fmt: skip
    loss = at_scale(SigLIP(), 2.0, -1.0)(BRAIN, TEXT)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_siglip_is_the_loss_of_the_siglip_in_transformers():
    from transformers import SiglipConfig, SiglipModel

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    text = {**sizes, "num_attention_heads": 2, "vocab_size": 9, "projection_size": 8}
    vision = {**sizes, "num_attention_heads": 2, "image_size": 4, "patch_size": 2}
    torch.manual_seed(0)
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).eval()
    model.logit_scale.data.fill_(math.log(10.0))
    model.logit_bias.data.fill_(-10.0)
    ids = torch.randint(1, 9, (4, 5))
    out = model(input_ids=ids, pixel_values=torch.randn(4, 3, 4, 4), return_loss=True)
    loss = SigLIP()(out.image_embeds, out.text_embeds)
    assert loss.item() == pytest.approx(out.loss.item(), rel=1e-5)


def test_the_scales_start_where_the_papers_say():
    # A temperature of 0.07 is a scale of 14.3, not its logarithm; t' = log 10 is a scale of 10.
    assert InfoNCE().scale.item() == pytest.approx(14.2857, rel=1e-4)
    assert SigLIP().scale.item() == pytest.approx(10.0)
    assert SigLIP().bias.item() == -10.0


@pytest.mark.parametrize("name", CONTRASTS)
def test_a_step_down_the_gradient_brings_a_scan_nearer_to_its_caption(name):
    torch.manual_seed(0)
    brain, text = torch.randn(5, 8, requires_grad=True), torch.randn(5, 8)
    contrast = CONTRASTS[name]()
    loss = contrast(brain, text)
    (gradient,) = torch.autograd.grad(loss, brain)
    moved = brain.detach() - 0.01 * gradient
    before, after = (functional.cosine_similarity(b, text) for b in (brain, moved))
    assert (after > before).all()
    assert contrast(moved, text) < loss


@pytest.mark.parametrize("name", CONTRASTS)
def test_moving_scans_towards_their_own_captions_lowers_the_loss_and_towards_others_raises_it(name):
    torch.manual_seed(0)
    brain, text, contrast = torch.randn(5, 8), torch.randn(5, 8), CONTRASTS[name]()
    here, nearer, astray = (contrast(brain + step, text) for step in (0, text, text.roll(1, 0)))
    assert nearer < here < astray


@pytest.mark.parametrize(("contrast", "pooling"), KINDS)
def test_the_windows_of_a_scan_are_contrasted_as_one_scan(contrast, pooling):
    alignment = make_alignment(contrast, pooling)
    if pooling == "attention":
        alignment.pooling.query.data.normal_()
    generator = torch.Generator().manual_seed(1)
    whole = torch.randn(2, 4, 5, 6, generator=generator)
    mask = torch.tensor([[True] * 5, [True, False, True, True, False]])
    text_ids = torch.randint(20, (4, 5), generator=generator)
    features = torch.randn(4, 5, generator=generator)
    if pooling == "relations":
        torch.nn.init.normal_(alignment.pooling.map.weight)
    # The windows of the two scans come mixed: first half of one, of the other, and the second ones.
    halves = torch.cat([whole[:, :2], whole[:, 2:]])
    scans = torch.tensor([2, 0, 2, 0])
    of_windows = alignment(halves, mask.repeat(2, 1), scans, text_ids, features)
    # Both windows of a scan weigh alike, so that their linear maps have a plain mean.
    means = (features[:2] + features[2:]) / 2
    of_scans = alignment(whole, mask, scans[:2], text_ids[:2], means)
    assert torch.allclose(of_windows["contrastive"], of_scans["contrastive"], rtol=1e-5)


def test_windows_of_unlike_weight_pool_to_the_scan_of_all_their_tokens():
    attention = make_pooling("attention", 3)
    attention.query.data.normal_(std=9.0)
    tokens, mask = torch.randn(3, 2, 2, 3), torch.ones(3, 2, dtype=torch.bool)
    together = attention(tokens.flatten(0, 1)[None], mask[:1]).vectors
    vectors, found = pool_scans(attention(tokens, mask), torch.tensor([7, 7, 7]))
    assert torch.allclose(vectors, together, atol=1e-6)
    assert found.tolist() == [7]


@pytest.mark.parametrize("name", CONTRASTS)
def test_chance_is_the_loss_of_a_contrast_that_tells_nothing_apart(name):
    contrast = CONTRASTS[name]()
    if name == "siglip":
        contrast.bias.data.fill_(-math.log(4))  # odds of 1 to 4: each of five is the own one
    loss = contrast(torch.eye(5), torch.eye(10)[5:, :5])
    assert loss.item() == pytest.approx(contrast.chance(5), rel=1e-5)


def test_the_scale_of_infonce_is_clipped_at_100_and_can_fall_again():
    contrast = at_scale(InfoNCE(), 500.0)
    # Each scan is nearest to the caption of another: a smaller scale would lose less.
    contrast(torch.eye(3), torch.eye(3).roll(1, 0)).backward()
    assert contrast.scale.item() == pytest.approx(100.0)
    assert contrast.log_scale.grad > 0


def test_evaluating_the_contrast_changes_no_parameter():
    contrast = at_scale(InfoNCE(), 500.0).eval()
    contrast(torch.eye(3), torch.eye(3))
    assert contrast.scale.item() == pytest.approx(500.0)


@pytest.mark.parametrize(("contrast", "pooling"), KINDS)
def test_autocast_leaves_the_contrast_in_single_precision(contrast, pooling):
    alignment, batch = make_alignment(contrast, pooling), make_batch()
    full = alignment(**batch)["contrastive"]
    with torch.autocast("cpu", torch.bfloat16):
        half = alignment(**batch)["contrastive"]
    assert torch.equal(half, full)


@pytest.mark.parametrize(("contrast", "pooling"), KINDS)
def test_one_step_moves_all_that_is_learned_and_nothing_that_is_frozen(contrast, pooling):
    alignment, batch = make_alignment(contrast, pooling), make_batch()
    batch["brain"].requires_grad_()
    frozen = alignment.table.clone(), alignment.captions.clone()
    before = {name: p.detach().clone() for name, p in alignment.named_parameters()}
    optimiser = torch.optim.AdamW(alignment.parameters(), lr=1e-3, weight_decay=0.0)
    sum(alignment(**batch).values()).backward()
    optimiser.step()
    still = {n for n, p in alignment.named_parameters() if torch.equal(p, before[n])}
    assert still == set()
    assert torch.equal(alignment.table, frozen[0])
    assert torch.equal(alignment.captions, frozen[1])
    assert batch["brain"].grad.abs().max() > 0


def test_captions_are_contrasted_after_subtraction_of_their_training_mean():
    assert make_alignment().captions.sum(dim=0).abs().max() < 1e-5


@pytest.mark.parametrize(("contrast", "pooling"), KINDS)
@pytest.mark.parametrize("value", [1e3, float("nan")])
def test_masked_regions_change_no_loss(contrast, pooling, value):
    alignment, batch = make_alignment(contrast, pooling), make_batch()
    if pooling == "attention":
        alignment.pooling.query.data.normal_()
    batch["region_mask"][:, 2] = False
    before = alignment(**batch)
    batch["brain"][:, :, 2] = value
    after = alignment(**batch)
    assert all(torch.equal(before[name], after[name]) for name in ("domain", "contrastive"))


def test_attention_starts_as_the_mean_over_present_tokens():
    batch = make_batch()
    mean, attention = (
        make_pooling(kind, 6)(batch["brain"], batch["region_mask"]).vectors
        for kind in ("mean", "attention")
    )
    assert torch.allclose(attention, mean, atol=1e-6)
    by_hand = [
        scan[:, mask].flatten(0, 1).mean(dim=0)
        for scan, mask in zip(batch["brain"], batch["region_mask"], strict=True)
    ]
    assert torch.allclose(mean, torch.stack(by_hand), atol=1e-6)


def test_attention_pooling_selects_the_token_that_matches_its_query():
    tokens = torch.randn(1, 2, 3, 16)
    pooling = AttentionPooling(16)
    pooling.query.data.copy_(100 * tokens[0, 1, 2])
    out = pooling(tokens, torch.ones(1, 3, dtype=torch.bool)).vectors
    assert torch.allclose(out[0], tokens[0, 1, 2], atol=1e-3)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_a_scan_without_a_present_region_pools_to_zeros(pooling):
    pooled = make_pooling(pooling, 6)(torch.randn(2, 2, 3, 6), torch.zeros(2, 3, dtype=torch.bool))
    vectors, _ = pool_scans(pooled, torch.tensor([4, 4]))
    assert torch.equal(vectors, torch.zeros(1, 6))


def test_pooling_of_relations_starts_as_the_mean_and_adds_a_linear_map_of_the_features():
    batch, pooling = make_batch(), make_pooling("relations", 6, 5)
    arguments = batch["brain"], batch["region_mask"]
    mean = make_pooling("mean", 6)(*arguments)
    assert torch.equal(pooling(*arguments, batch["features"]).vectors, mean.vectors)
    torch.nn.init.normal_(pooling.map.weight)
    found = pooling(*arguments, batch["features"])
    expected = mean.vectors + batch["features"] @ pooling.map.weight.T
    assert torch.allclose(found.vectors, expected, atol=1e-6)
    assert torch.equal(found.log_weights, mean.log_weights)


def test_pooling_of_relations_without_features_is_refused():
    batch = make_batch()
    with pytest.raises(ValueError, match="features: none"):
        make_pooling("relations", 6, 5)(batch["brain"], batch["region_mask"])


WITHOUT_TEXT = """
import sys
for name in ("transformers", "datasets", "tokenizers", "huggingface_hub", "platformdirs", "click"):
    sys.modules[name] = None
import torch
import fmri_vqtok
from fmri_vqtok.training.objective import TokenizerObjective

processor = fmri_vqtok.TimeSeriesProcessor(24, 2.0).fit([torch.randn(90, 4).numpy()], [1.0])
windows, mask = processor(torch.randn(900, 4).numpy(), 1.0)
sizes = {"n_regions": 4, "n_frames": 24, "patch_frames": 8, "n_codes": 16, "code_width": 4}
config = fmri_vqtok.FMRITokenizerConfig.preset("tiny", **sizes)
tokenizer = fmri_vqtok.FMRITokenizer(config, processor)
tokenizer.initialise(windows, torch.Generator().manual_seed(0))
objective = TokenizerObjective(tokenizer, None, 0.5)
optimiser = torch.optim.SGD(objective.parameters(), lr=1e-3)
mask = mask.expand(len(windows), -1)
for _ in range(2):
    out = objective(windows, mask, ~mask, torch.arange(len(windows)))
    optimiser.zero_grad()
    out["loss"].backward()
    optimiser.step()
tokenizer.eval().save_pretrained(sys.argv[1])
tokenizer = fmri_vqtok.FMRITokenizer.from_pretrained(sys.argv[1])
codes = tokenizer.encode(windows).codes
print(sorted(out["losses"]), tokenizer.decode(codes).shape == windows.shape)
"""


def test_without_text_the_tokenizer_trains_saves_and_runs_without_transformers(tmp_path):
    command = [sys.executable, "-c", WITHOUT_TEXT, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['commitment', 'reconstruction'] True", done.stderr


TWO_PROCESSES = """
import sys
import torch
import torch._dynamo
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel
from fmri_vqtok.alignment.alignment import TextAlignment
from fmri_vqtok.distributed import all_gather, all_reduce_mean

KINDS = [(c, p) for c in ("infonce", "siglip") for p in ("mean", "attention", "relations")]

class Model(nn.Module):
    def __init__(self, contrast, pooling):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Linear(5, 6)
        captions = torch.randn(7, 6)
        self.alignment = TextAlignment(
            torch.randn(20, 6), captions, captions.mean(dim=0), contrast=contrast, pooling=pooling,
            n_relations=3,
        )
        if pooling == "relations":
            nn.init.normal_(self.alignment.pooling.map.weight)
        if pooling == "attention":
            nn.init.normal_(self.alignment.pooling.query)
        self.alignment.set_progress(0.3)

    def forward(self, signal, mask, scans, text_ids, features):
        brain = self.encoder(signal)
        losses = self.alignment(brain, mask, scans, text_ids, features)
        weights = mask[:, None, :, None].expand_as(brain)
        squares = (brain.square() * weights).sum()
        return losses | {"reconstruction": all_reduce_mean(squares, weights.sum())}

def batch():
    # Scan 2 has a window in the part of either process; the parts differ in regions present.
    torch.manual_seed(1)
    mask = torch.rand(7, 4) < torch.tensor([0.9] * 4 + [0.4] * 3)[:, None]
    scans = torch.tensor([0, 1, 2, 3, 4, 2, 6])
    return torch.randn(7, 2, 4, 5), mask, scans, torch.randint(20, (7, 3)), torch.randn(7, 3)

def run(rank, world, folder):
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    part = slice(None) if world == 1 else (slice(0, 4), slice(4, 7))[rank]
    if world > 1:
        store = f"file://{folder}/store"
        distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=world)
    results = {}
    for kind in KINDS:
        model = Model(*kind)
        spread = DistributedDataParallel(model) if world > 1 else model
        losses = spread(*[values[part] for values in batch()])
        (losses["contrastive"] + 0.5 * losses["domain"] + losses["reconstruction"]).backward()
        gradients = {name: p.grad for name, p in model.named_parameters()}
        results["-".join(kind)] = ({k: v.detach() for k, v in losses.items()}, gradients)
    rows = torch.arange(7)[:, None] * torch.ones(2)
    results["gathered"] = tuple(all_gather(rows[part]))
    torch.save(results, f"{folder}/{world}-{rank}.pt")
    if world > 1:
        distributed.destroy_process_group()

if __name__ == "__main__":
    # Forked from here, so that what was imported above is imported once.
    for world in (1, 2):
        multiprocessing.start_processes(run, (world, sys.argv[1]), world, start_method="fork")
"""


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """What one process, and each of two, make of the same global batch."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "two.py").write_text(TWO_PROCESSES)
    command = [sys.executable, folder / "two.py", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{name}.pt") for name in ("1-0", "2-0", "2-1")]


@pytest.mark.parametrize(("contrast", "pooling"), KINDS)
def test_two_processes_have_the_losses_and_gradients_of_one(processes, contrast, pooling):
    (losses, gradients), *others = (result[f"{contrast}-{pooling}"] for result in processes)
    for their_losses, their_gradients in others:
        for name, value in losses.items():
            assert torch.allclose(their_losses[name], value, rtol=1e-6, atol=0), name
        for name, value in gradients.items():
            assert torch.allclose(their_gradients[name], value, rtol=1e-6, atol=1e-12), name
            assert value.abs().max() > 0, name


def test_rows_are_gathered_in_the_order_of_ranks_with_the_place_of_ones_own(processes):
    alone, first, second = (result["gathered"] for result in processes)
    assert torch.equal(alone[0], first[0])
    assert torch.equal(alone[0], second[0])
    assert [part[1] for part in (alone, first, second)] == [0, 0, 4]
