"""Greedy and beam search after a cached prefix are those of transformers on the whole sequence."""

import pytest
import torch

from fmri_llm.base_model import chat
from fmri_llm.inference.decoding import Decoding
from fmri_llm.inference.generation import generate
from fmri_llm.model.fmri_lm import FMRILM
from fmri_llm.settings import BrainInputSettings

from ..tiny import ARCHITECTURES, N_STEPS, random_codes, stir, tiny_tokenizer

QUESTIONS = ["Is it?", "Where is it to be found?"]
# Gemma 3 is left out: transformers hides all but the last tokens from its sliding layers.
CAUSAL = [name for name in ARCHITECTURES if name != "gemma3"]
# Random models hardly ever write one certain token, so many of them end a text here.
FEW_ENDS, MANY_ENDS = set(range(0, 256, 8)), set(range(0, 256, 2))


@pytest.fixture(scope="module", params=CAUSAL)
def one_region(request, tiny_folder):
    """Model of scans of one region, whose brain block is an ordinary causal sequence."""
    signal_alone = {"relation_tokens": 0, "filter_tokens": False, "scale_tokens": 0}
    model = FMRILM.from_base(
        tiny_folder(request.param),
        tiny_tokenizer(request.param, n_regions=1),
        name=request.param,
        brain=BrainInputSettings(text_reads_signal=True, **signal_alone),
    )
    stir(model)
    return model


def prompts_of(model):
    return [chat.encode_answers(model.text_tokenizer, chat.question(q), ())[0] for q in QUESTIONS]


def ids_by_transformers(model, codes, ids, end_ids, search):
    """What `generate` of the library writes after brain block and prompt, without the end."""
    with torch.no_grad():
        block = model.block_for_text(model.checked(codes, None))
    assert block.columns.n_columns == N_STEPS + 2
    prompt = model.input_embeddings(torch.tensor([ids]))
    sequence = torch.cat([block.embeddings, prompt], dim=1)
    rows = model.language_model.generate(
        inputs_embeds=sequence,
        attention_mask=torch.ones(sequence.shape[:2], dtype=torch.int64),
        do_sample=False,
        eos_token_id=sorted(end_ids),
        max_new_tokens=search.max_new_tokens,
        num_beams=search.num_beams,
        length_penalty=search.length_penalty,
    )
    new = rows[0].tolist()
    return new[:-1] if new[-1] in end_ids else new


@pytest.mark.parametrize("end_ids", [FEW_ENDS, MANY_ENDS], ids=["few ends", "many ends"])
@pytest.mark.parametrize(
    "search",
    [
        Decoding(max_new_tokens=12),
        Decoding(max_new_tokens=12, num_beams=3),
        Decoding(max_new_tokens=12, num_beams=3, length_penalty=1.5),
        Decoding(max_new_tokens=12, num_beams=4, length_penalty=-1.0),
    ],
    ids=["greedy", "beams", "long texts", "short texts"],
)
def test_texts_of_a_batch_are_those_of_transformers_one_by_one(one_region, search, end_ids):
    codes, prompts = random_codes(2)[:, :, :1], prompts_of(one_region)
    with torch.no_grad():
        found = generate(one_region, one_region.prefill(codes), prompts, search, end_ids, [0, 0])
    expected = [
        ids_by_transformers(one_region, codes[b : b + 1], prompts[b], end_ids, search)
        for b in range(2)
    ]
    assert found == expected
