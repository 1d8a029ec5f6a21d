"""What the model may look at: no future, all of the region_mask, no scan for plain text."""

import pytest
import torch

from fmri_llm.brain_input.scans import BrainScans
from fmri_llm.model.fmri_lm import FMRILM
from fmri_llm.model.losses import mean_over_targets, next_step_loss
from fmri_llm.packing import sequences, token_grid
from fmri_llm.packing.sequences import TextSegment
from fmri_llm.settings import LossWeights

from ..tiny import ARCHITECTURES, N_CODES, N_REGIONS, N_STEPS, random_codes, tiny_tokenizer

REGION_MASK = torch.ones(2, N_REGIONS, dtype=torch.bool)
ABOUT_SCAN = TextSegment(ids=[72, 105, 33, 50, 51], n_given=3)
PLAIN = TextSegment(ids=[10, 20, 30, 40], sees_brain=False, loss="t2t")


def batch(codes, *segments):
    text = sequences.pack([segments] * len(codes))
    return {"codes": codes, "region_mask": REGION_MASK[: len(codes)], **text._asdict()}


def losses_of(model, codes, *segments):
    with torch.no_grad():
        return model(**batch(codes, *segments))["losses"]


def with_new_future(codes, step):
    """Same codes up to `step`, other random ones after it."""
    changed = codes.clone()
    shift = 1 + random_codes(len(codes), seed=9) % (N_CODES - 1)
    changed[:, step + 1 :] = ((codes + shift) % N_CODES)[:, step + 1 :]
    return changed


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_future_moves_no_forecast_by_one_bit(make_model, architecture, attention, codes):
    model = make_model(architecture, attention=attention)
    before = model.forecast(codes)
    for step in range(N_STEPS - 1):
        after = model.forecast(with_new_future(codes, step))
        assert torch.equal(after[:, : step + 1], before[:, : step + 1])


def test_random_noise_in_future_embeddings_moves_no_forecast_by_one_bit(
    any_model, codes, monkeypatch
):
    before = any_model.forecast(codes)
    embeddings = any_model.brain_tokenizer.text_embeddings(codes)
    embeddings[:, 1:] += torch.randn(embeddings[:, 1:].shape)
    monkeypatch.setattr(any_model.brain_tokenizer, "text_embeddings", lambda _: embeddings)
    after = any_model.forecast(codes)
    assert torch.equal(after[:, 0], before[:, 0])
    assert not torch.equal(after[:, 1], before[:, 1])


def test_regions_of_the_same_step_see_each_other(any_model, codes):
    changed = codes.clone()
    changed[:, 1, -1] = (codes[:, 1, -1] + 1) % N_CODES
    moved = (any_model.forecast(changed) - any_model.forecast(codes)).abs().amax(-1)
    assert (moved[:, 1] > 1e-6).all()
    assert (moved[:, 0] == 0).all()


def test_regions_with_the_same_code_get_different_forecasts(tiny_model):
    same = torch.zeros(1, N_STEPS, N_REGIONS, dtype=torch.long)
    forecast = tiny_model.forecast(same)[0, 0]
    assert not torch.allclose(forecast[0], forecast[1])


def test_a_region_without_signal_changes_no_other_forecast(any_model, codes):
    region_mask = REGION_MASK.clone()
    region_mask[:, 2] = False
    changed = codes.clone()
    changed[:, :, 2] = (codes[:, :, 2] + 1) % N_CODES
    others = [n for n in range(N_REGIONS) if n != 2]
    before, after = (any_model.forecast(x, region_mask)[:, :, others] for x in (codes, changed))
    assert torch.equal(before, after)


def test_hidden_states_are_in_time_major_order(make_model, codes):
    model = make_model(text_reads_signal=True)
    hidden = model.hidden_states(codes, "Hi")[:, 1 : 1 + N_STEPS * N_REGIONS]
    by_hand = model.head(token_grid.unflatten(hidden, N_REGIONS))
    torch.testing.assert_close(model.forecast(codes), by_hand)


def test_states_at_the_end_of_prompts_are_those_of_whole_passes(any_model, codes):
    prompts = ["Hi", "How old is this person?"]
    found = any_model.prompt_states(any_model.prefill(codes[:1]), prompts)
    for prompt, states in zip(prompts, found, strict=True):
        for layer, state in enumerate(states):
            whole = any_model.hidden_states(codes[:1], prompt, layer=layer)[0, -1]
            torch.testing.assert_close(state, whole, rtol=1e-4, atol=1e-4)


def test_one_packed_pass_gives_the_losses_of_separate_passes(any_model, codes):
    packed = losses_of(any_model, codes, ABOUT_SCAN, PLAIN)
    about = losses_of(any_model, codes, ABOUT_SCAN)
    plain = losses_of(any_model, codes, PLAIN)
    torch.testing.assert_close(packed["f2t"], about["f2t"])
    torch.testing.assert_close(packed["t2t"], plain["t2t"])
    by_hand = next_step_loss(any_model.forecast(codes), codes, REGION_MASK)
    torch.testing.assert_close(packed["f2f"], by_hand)


def test_the_plain_text_loss_is_that_of_the_adapted_model_alone(any_model, codes):
    ids = torch.tensor([PLAIN.ids])
    with torch.no_grad():
        logits = any_model.language_model(input_ids=ids).logits
    alone = mean_over_targets(logits[:, :-1], ids[:, 1:])
    packed = losses_of(any_model, codes, ABOUT_SCAN, PLAIN)["t2t"]
    torch.testing.assert_close(packed, alone)


def test_plain_text_is_untouched_by_the_scan(any_model):
    first, second = (losses_of(any_model, random_codes(2, seed), PLAIN) for seed in (1, 2))
    assert torch.equal(first["t2t"], second["t2t"])


def test_text_about_the_scan_depends_on_the_scan(any_model):
    first, second = (losses_of(any_model, random_codes(2, seed), ABOUT_SCAN) for seed in (1, 2))
    assert (first["f2t"] - second["f2t"]).abs() > 1e-6


def test_padding_changes_no_loss(any_model, codes):
    longer = TextSegment(ids=list(range(60, 80)), n_given=20)
    rows = [[ABOUT_SCAN, PLAIN], [longer]]
    text = sequences.pack(rows)
    with torch.no_grad():
        padded = any_model(codes=codes, region_mask=REGION_MASK, **text._asdict())["losses"]
    alone = losses_of(any_model, codes[:1], ABOUT_SCAN, PLAIN)
    torch.testing.assert_close(padded["f2t"], alone["f2t"])
    torch.testing.assert_close(padded["t2t"], alone["t2t"])


def test_the_tokens_of_a_question_are_no_targets(tiny_model, codes):
    """The loss is the mean surprise of the answer's two tokens, the question's left out."""
    ids = torch.tensor(ABOUT_SCAN.ids)
    text = TextSegment(ids=ABOUT_SCAN.ids, n_given=len(ids))
    block = tiny_model.block_for_text(tiny_model.checked(codes, REGION_MASK))
    hidden = tiny_model.forward_packed(block, sequences.pack([[text]] * 2), torch.arange(len(ids)))
    surprise = -hidden.logits.log_softmax(-1)[:, [2, 3]][:, [0, 1], ids[3:]]
    torch.testing.assert_close(losses_of(tiny_model, codes, ABOUT_SCAN)["f2t"], surprise.mean())


def test_a_loss_of_weight_zero_is_not_computed(make_model, codes):
    model = make_model()
    model.loss_weights = LossWeights(f2f=0, t2t=0, questions=0)
    output = model(**batch(codes, ABOUT_SCAN))
    assert set(output["losses"]) == {"f2t"}
    assert torch.equal(output["loss"], output["losses"]["f2t"])


def test_the_total_is_the_sum_of_equation_six(tiny_model, codes):
    with torch.no_grad():
        output = tiny_model(**batch(codes, ABOUT_SCAN, PLAIN))
    by_name = output["losses"]
    expected = by_name["f2t"] + 0.1 * by_name["f2f"] + 0.5 * by_name["t2t"]
    torch.testing.assert_close(output["loss"], expected)


def test_the_brain_tokenizer_stays_in_evaluation_mode(make_model):
    model = make_model().train()
    assert model.brain.training
    assert not any(module.training for module in model.brain_tokenizer.modules())


def test_the_state_holds_what_trains_or_is_fitted_and_nothing_else(tiny_model):
    trainable = {name for name, p in tiny_model.named_parameters() if p.requires_grad}
    parts = ("_scaler.", "centre", "readout.", "brain.filters.")
    fitted = {name for name in tiny_model.state_dict() if any(part in name for part in parts)}
    assert len(fitted) == 8
    assert set(tiny_model.state_dict()) == trainable | fitted
    assert {name.split(".")[0] for name in trainable} == {"language_model", "brain", "head"}
    assert all("lora_" in name for name in trainable if name.startswith("language_model"))


def test_the_state_is_all_that_a_fresh_model_needs(make_model, codes):
    trained, other = make_model(seed=1), make_model(seed=2)
    assert not torch.equal(trained.forecast(codes), other.forecast(codes))
    other.load_state_dict(trained.state_dict())
    assert torch.equal(trained.forecast(codes), other.forecast(codes))


def test_brain_tokens_start_with_the_mean_norm_of_text_embeddings(tiny_folder):
    tokenizer = tiny_tokenizer("llama")
    fresh = FMRILM.from_base(tiny_folder("llama"), tokenizer, name="llama")
    codes = random_codes(200)
    lengths = fresh.brain.signal(tokenizer.text_embeddings(codes)).norm(dim=-1)
    words = fresh.input_embeddings.weight.norm(dim=-1)
    torch.testing.assert_close(lengths.mean(), words.mean(), rtol=0.1, atol=0)


@torch.no_grad()
def test_each_loss_of_a_batch_is_the_mean_of_its_examples_by_what_they_count(tiny_model, codes):
    longer = TextSegment(ids=[72, 105, 33, 50, 51, 60, 61, 62], n_given=2)
    region_mask = REGION_MASK.clone()
    region_mask[1, 0] = False

    def example(rows, *segments):
        text = sequences.pack(list(segments))
        return {"codes": codes[rows], "region_mask": region_mask[rows], **text._asdict()}

    parts = [example([0], [ABOUT_SCAN, PLAIN]), example([1], [longer, PLAIN, PLAIN])]
    whole = example([0, 1], [ABOUT_SCAN, PLAIN], [longer, PLAIN, PLAIN])
    found = [(tiny_model(**part)["losses"], tiny_model.loss_counts(**part)) for part in parts]
    total, counts = tiny_model(**whole)["losses"], tiny_model.loss_counts(**whole)
    assert set(counts) == set(total) == {"f2t", "t2t", "f2f", "questions"}
    assert counts["f2t"] == 2 + 6
    for name, loss in total.items():
        assert sum(count[name] for _, count in found) == counts[name]
        expected = sum(loss[name] * count[name] for loss, count in found) / max(counts[name], 1)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5), name


SHORT, LONG = N_STEPS, 2 * N_STEPS


def filled_up(codes, *segments):
    """Batch of one scan of SHORT steps, filled up with other codes, and one of LONG steps."""
    text = sequences.pack([segments, segments])._asdict()
    step_mask = torch.tensor([[w < SHORT for w in range(LONG)], [True] * LONG])
    return {"codes": codes, "region_mask": REGION_MASK, "step_mask": step_mask, **text}


@torch.no_grad()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_padding_steps_of_a_shorter_scan_change_no_loss(make_model, attention):
    model = make_model("llama", attention=attention)
    codes = torch.cat([random_codes(2, seed=1), random_codes(2, seed=2)], dim=1)
    whole = filled_up(codes, ABOUT_SCAN, PLAIN)
    found, counts = model(**whole)["losses"], model.loss_counts(**whole)
    parts = [batch(codes[:1, :SHORT], ABOUT_SCAN, PLAIN), batch(codes[1:], ABOUT_SCAN, PLAIN)]
    for name, loss in found.items():
        alone = [(model(**part)["losses"][name], model.loss_counts(**part)[name]) for part in parts]
        assert counts[name] == sum(count for _, count in alone)
        expected = sum(loss * count for loss, count in alone) / max(counts[name], 1)
        assert loss.item() == pytest.approx(expected.item(), abs=1e-5), name


@torch.no_grad()
def test_codes_of_padding_steps_change_no_loss_by_one_bit(any_model):
    codes = torch.cat([random_codes(2, seed=1), random_codes(2, seed=2)], dim=1)
    other = codes.clone()
    other[0, SHORT:] = (codes[0, SHORT:] + 1) % N_CODES
    one, two = (any_model(**filled_up(c, ABOUT_SCAN, PLAIN))["losses"] for c in (codes, other))
    assert {name: loss.item() for name, loss in one.items()} == {
        name: loss.item() for name, loss in two.items()
    }


@torch.no_grad()
def test_answers_about_a_shorter_scan_are_the_same_beside_a_longer_one(any_model):
    codes = torch.cat([random_codes(2, seed=1), random_codes(2, seed=2)], dim=1)
    step_mask = filled_up(codes)["step_mask"]
    prefix = any_model.prefill(BrainScans.of(codes, REGION_MASK, step_mask))
    alone = [codes[:1, :SHORT], codes[1:]]
    scores = any_model.score_answers(prefix, "Old?", ["yes", "no"])
    expected = torch.cat([any_model.score_answers(c, "Old?", ["yes", "no"]) for c in alone])
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4)
    texts = any_model.generate_text(prefix, "Old?", max_new_tokens=5)
    assert texts == [any_model.generate_text(c, "Old?", max_new_tokens=5)[0] for c in alone]


@torch.no_grad()
def test_a_step_that_does_not_follow_is_no_target(tiny_model, codes):
    follows = torch.tensor([[False, True, True], [False, False, True]])
    whole = {**batch(codes, PLAIN), "new_steps": follows}
    logits = tiny_model.forecast(codes)
    surprise = -logits.log_softmax(-1)[:, :-1].gather(-1, codes[:, 1:, :, None])[..., 0]
    expected = surprise[follows[:, 1:]].mean()
    torch.testing.assert_close(tiny_model(**whole)["losses"]["f2f"], expected)
    assert tiny_model.loss_counts(**whole)["f2f"] == 3 * N_REGIONS
