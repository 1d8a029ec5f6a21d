"""The last words up to each column of packed text."""

from fmri_llm.packing import sequences
from fmri_llm.packing.recent_words import NO_WORD, words_of
from fmri_llm.packing.sequences import TextSegment


def recent(rows, n_words=3):
    return words_of(sequences.pack(rows), n_words).recent.tolist()


def test_a_token_has_those_before_it_in_its_own_text():
    (row,) = recent([[TextSegment(ids=[5, 6, 7, 8]), TextSegment(ids=[9])]])
    first = [[NO_WORD, NO_WORD, 5], [NO_WORD, 5, 6], [5, 6, 7], [6, 7, 8]]
    assert row == [*first, [NO_WORD, NO_WORD, 9]]


def test_an_answer_goes_on_from_the_prompt_that_it_continues():
    segments = [
        TextSegment(ids=[5, 6]),
        TextSegment(ids=[7], continues=0),
        TextSegment(ids=[8, 9], continues=0),
    ]
    (row,) = recent([segments])
    assert row[2:] == [[5, 6, 7], [5, 6, 8], [6, 8, 9]]


def test_text_that_does_not_see_the_brain_has_no_words_about_it():
    (row,) = recent([[TextSegment(ids=[5, 6], sees_brain=False)]])
    assert row == [[NO_WORD] * 3] * 2


def test_words_do_not_depend_on_the_row_beside():
    alone = recent([[TextSegment(ids=[5, 6])]])[0]
    together = recent([[TextSegment(ids=[5, 6])], [TextSegment(ids=[7, 8, 9])]])[0]
    assert together[:2] == alone
