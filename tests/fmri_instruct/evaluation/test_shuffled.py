"""Answers of a model that was shown the scan of another person."""

import pytest

from fmri_instruct.evaluation.shuffled import shuffled_between_people
from fmri_instruct.scoring.answer_table import ScanAnswer


def answers(*scans_of_each):
    """One answer a scan, whose probability names the scan."""
    names = [
        (f"sub-{k}", f"sub-{k}_run-{r}") for k, n in enumerate(scans_of_each) for r in range(n)
    ]
    return [
        ScanAnswer(
            scan_id=scan_id,
            subject=subject,
            task="sex",
            paradigm="single",
            truth=f"true of {scan_id}",
            answer="male",
            probabilities={"male": place / 100, "female": 1 - place / 100},
            true_number=float(place),
            number=-float(place),
        )
        for place, (subject, scan_id) in enumerate(names)
    ]


@pytest.mark.parametrize("scans_of_each", [(1, 1), (1, 1, 1), (3, 1, 2), (2, 5, 2, 1), (4, 4)])
def test_every_answer_is_about_another_subject_and_is_judged_by_the_own_truth(scans_of_each):
    given = answers(*scans_of_each)
    found = shuffled_between_people(given[::-1])
    own = {answer.scan_id: answer for answer in given}
    owner = {answer.probabilities["male"]: answer.subject for answer in given}
    assert {answer.scan_id for answer in found} == set(own)
    assert sorted(a.number for a in found) == sorted(a.number for a in given)
    for answer in found:
        assert owner[answer.probabilities["male"]] != answer.subject
        assert answer.number == pytest.approx(-100 * answer.probabilities["male"])
        assert (answer.truth, answer.true_number) == (
            own[answer.scan_id].truth, own[answer.scan_id].true_number
        )  # fmt: skip


@pytest.mark.parametrize("scans_of_each", [(), (3,), (4, 1, 1)])
def test_there_are_none_where_too_many_scans_are_of_one_subject(scans_of_each):
    assert shuffled_between_people(answers(*scans_of_each)) == []
