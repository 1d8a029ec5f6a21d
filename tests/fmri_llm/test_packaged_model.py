"""The real SmolLM2: no future leak, English is still English, likelihoods are plain likelihoods."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from fmri_llm.base_model import chat
from fmri_llm.base_model.language_model import without_peft_notice
from fmri_llm.model.fmri_lm import FMRILM
from fmri_llm.packing import sequences
from fmri_llm.packing.sequences import TextSegment
from fmri_llm.settings import BrainInputSettings

from .tiny import N_REGIONS, N_STEPS, PACKAGED, random_codes, stir, tiny_tokenizer

ENGLISH = (
    "The brain is the organ that controls thought, memory, emotion, touch, motor skills, vision, "
    "breathing, temperature and hunger. It is protected by the skull and made of nerve cells."
)


@pytest.fixture(scope="module")
def untrained(smollm2):
    return FMRILM.from_base(smollm2, tiny_tokenizer(PACKAGED, 576), name=PACKAGED)


@pytest.fixture(scope="module")
def plain(smollm2):
    return AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)


def t2t(model, ids):
    text = sequences.pack([[TextSegment(ids=ids, sees_brain=False, loss="t2t")]])
    region_mask = torch.ones(1, N_REGIONS, dtype=torch.bool)
    with torch.no_grad():
        batch = {"codes": random_codes(1), "region_mask": region_mask, **text._asdict()}
        return model(**batch)["losses"]["t2t"].item()


def test_the_future_moves_no_forecast_by_one_bit(packaged_model):
    codes = random_codes(1)
    changed = codes.clone()
    changed[:, 2] = (codes[:, 2] + 1) % 11
    before, after = packaged_model.forecast(codes), packaged_model.forecast(changed)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.equal(before[:, 2], after[:, 2])


def test_english_is_likelier_than_its_words_in_disorder(untrained):
    words = ENGLISH.split()
    shuffled = " ".join(np.random.default_rng(0).permutation(words))
    tokenizer = untrained.text_tokenizer
    losses = [t2t(untrained, tokenizer(text)["input_ids"]) for text in (ENGLISH, shuffled)]
    assert losses[0] < losses[1] - 1


def test_the_text_loss_is_that_of_the_plain_base_model(untrained, plain):
    ids = torch.tensor([untrained.text_tokenizer(ENGLISH)["input_ids"]])
    with torch.no_grad():
        expected = plain(input_ids=ids, labels=ids).loss.item()
    assert t2t(untrained, ids[0].tolist()) == pytest.approx(expected, abs=1e-4)


def test_scores_without_a_scan_are_likelihoods_of_the_plain_base_model(smollm2, plain):
    """With every region missing only the two tokens around the signal are left of the scan."""
    signal_alone = {"relation_tokens": 0, "filter_tokens": False, "scale_tokens": 0}
    untrained = FMRILM.from_base(
        smollm2,
        tiny_tokenizer(PACKAGED, 576),
        name=PACKAGED,
        brain=BrainInputSettings(text_reads_signal=True, **signal_alone),
    )
    answers = ["Paris", "the city of Rome"]
    asked = chat.question("What is the capital of France?")
    nothing = torch.zeros(1, N_REGIONS, dtype=torch.bool)
    scores = untrained.score_answers(random_codes(1), asked, answers, nothing)[0]
    prompt, tokens = chat.encode_answers(untrained.text_tokenizer, asked, answers)
    for answer, score in zip(tokens, scores, strict=True):
        ids = torch.tensor([prompt + answer])
        embeddings = torch.cat([untrained.brain.markers, plain.get_input_embeddings()(ids)[0]])
        positions = torch.tensor([0, *range(N_STEPS + 1, N_STEPS + 2 + ids.shape[1])])
        with torch.no_grad():
            logits = plain(inputs_embeds=embeddings[None], position_ids=positions[None]).logits
        log_probabilities = logits[0, 2:].log_softmax(-1)
        rows = torch.arange(len(prompt) - 1, ids.shape[1] - 1)
        expected = log_probabilities[rows, answer].sum()
        torch.testing.assert_close(score, expected, rtol=1e-4, atol=1e-3)


def test_the_answer_is_found_without_a_scan(untrained):
    nothing = torch.zeros(1, N_REGIONS, dtype=torch.bool)
    codes, question = random_codes(1), "What is the capital of France?"
    scores = untrained.score_answers(codes, question, ["Paris.", "Zebra."], nothing)
    assert scores[0, 0] > scores[0, 1]


def test_cached_scores_equal_a_full_pass(packaged_model):
    from .inference.test_scoring import full_pass

    codes = random_codes(1)
    scores = packaged_model.score_answers(codes, "Is it?", ["yes", "not at all"])
    expected = [full_pass(packaged_model, codes, "Is it?", a) for a in ("yes", "not at all")]
    torch.testing.assert_close(scores, torch.tensor([expected]), rtol=1e-4, atol=1e-3)


def test_the_readme_examples_run(repository, capsys, tmp_path, monkeypatch):
    readme = (repository / "packages" / "fmri-llm" / "README.md").read_text(encoding="utf-8")
    names = {}
    monkeypatch.chdir(tmp_path)
    first, second = (part.split("```")[0] for part in readme.split("```python\n")[1:])
    exec(compile(first, "README.md", "exec"), names)
    assert "torch.Size([1, 6, 10, 512])" in capsys.readouterr().out
    stir(names["model"].language_model)
    with without_peft_notice():
        exec(compile(second, "README.md", "exec"), names)
    ids = torch.tensor([names["model"].text_tokenizer(ENGLISH)["input_ids"]])
    with torch.no_grad():
        expected, adapted, plain = (
            language_model(input_ids=ids).logits
            for language_model in (names["model"].language_model, names["adapted"], names["plain"])
        )
    torch.testing.assert_close(adapted, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(plain, expected, rtol=1e-3, atol=1e-3)
    assert names["again"].base_name == PACKAGED
