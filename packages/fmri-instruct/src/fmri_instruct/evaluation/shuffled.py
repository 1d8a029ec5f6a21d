"""A model's answers about held-out scans, had each been shown the scan of another person."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from fmri_instruct.scoring.answer_table import ScanAnswer

__all__ = ["shuffled_between_people"]


def shuffled_between_people(answers: Sequence[ScanAnswer]) -> list[ScanAnswer]:
    """Answers about each scan that the model gave when it saw the scan of another subject.

    A held-out question has the same words for every scan, so these are the answers to it about the
    other scan: nothing is asked again. A model that looks at the scan does worse with them, and one
    that answers by the words alone does as well.

    Parameters
    ----------
    answers : sequence of ScanAnswer
        To one question about different scans.

    Returns
    -------
    list of ScanAnswer
        By subject, each with its own true answer; empty if more than half of the scans are of one
        subject, so that not all can be of another.
    """
    ordered = sorted(answers, key=lambda answer: (answer.subject, answer.scan_id))
    n = len(ordered)
    most = max(Counter(answer.subject for answer in ordered).values(), default=0)
    if n == 0 or 2 * most > n:
        return []
    # The scans of a subject lie together, so half of the list away there is another subject's.
    others = [*ordered[n // 2 :], *ordered[: n // 2]]
    return [
        replace(other, scan_id=own.scan_id, subject=own.subject, truth=own.truth,
                true_number=own.true_number)
        for own, other in zip(ordered, others, strict=True)
    ]  # fmt: skip
