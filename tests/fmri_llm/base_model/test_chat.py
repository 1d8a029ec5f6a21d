"""Chat messages as token ids of prompt and answer."""

import pytest

from fmri_llm.base_model import chat
from fmri_vqtok.errors import InputError

from ..tiny import word_tokenizer

ASKED = [
    {"role": "user", "content": "<fmri>\nHow old?"},
    {"role": "assistant", "content": "younger"},
]


@pytest.fixture(scope="module")
def packaged_tokenizer(smollm2):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(smollm2)


def test_a_template_gives_the_ids_that_the_tokenizer_itself_gives(packaged_tokenizer):
    prompt, answer = chat.encode(packaged_tokenizer, ASKED)
    # The template's own system prompt, which no scan and no question is about, is left empty.
    system = {"role": "system", "content": ""}
    turns = [system, {"role": "user", "content": "How old?"}, ASKED[1]]
    whole = packaged_tokenizer.apply_chat_template(turns, tokenize=False)
    assert packaged_tokenizer.decode(prompt + answer) + "\n" == whole
    generation = packaged_tokenizer.apply_chat_template(
        turns[:2], tokenize=False, add_generation_prompt=True
    )
    assert packaged_tokenizer.decode(prompt) == generation


def test_an_answer_ends_with_the_end_of_its_turn(packaged_tokenizer):
    _, answer = chat.encode(packaged_tokenizer, ASKED)
    assert packaged_tokenizer.decode(answer) == "younger<|im_end|>"


def test_a_base_without_template_gets_question_and_answer():
    tokenizer = word_tokenizer()
    prompt, answer = chat.encode(tokenizer, ASKED)
    assert tokenizer.decode(prompt + answer) == "Question: How old?\nAnswer: younger</s>"
    assert tokenizer.decode(prompt).endswith("Answer:")


def test_a_templates_own_words_before_an_answer_belong_to_the_prompt():
    tokenizer = word_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]"
        "{% if m.role == 'assistant' %}<think></think>{% endif %}{{ m.content | trim }}</s>\n"
        "{% endfor %}"
    )
    prompt, answer = chat.encode(tokenizer, ASKED)
    assert tokenizer.decode(prompt).endswith("[assistant]<think></think>")
    assert tokenizer.decode(answer) == "younger</s>"


def test_a_prompt_is_the_same_whatever_the_answer(packaged_tokenizer):
    texts = ["a", "to be sure"]
    prompt, answers = chat.encode_answers(packaged_tokenizer, ASKED[:1], texts)
    for text, answer in zip(texts, answers, strict=True):
        turns = [ASKED[0], {"role": "assistant", "content": text}]
        assert chat.encode(packaged_tokenizer, turns) == (prompt, answer)


def test_the_scan_mark_is_not_read_as_text():
    tokenizer = word_tokenizer()
    prompt, _ = chat.encode(tokenizer, ASKED)
    assert "<fmri>" not in tokenizer.decode(prompt)


def test_end_of_turn_and_end_of_text_end_an_answer(packaged_tokenizer):
    assert chat.end_ids(packaged_tokenizer) == {packaged_tokenizer.eos_token_id}


def test_a_conversation_without_an_answer_is_refused():
    with pytest.raises(InputError, match="the last turn is 'user'; end with the assistant's"):
        chat.encode(word_tokenizer(), ASKED[:1])
