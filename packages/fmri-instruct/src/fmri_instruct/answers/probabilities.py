"""Likelihoods of answers and greedy text of a model about one scan, all windows at once."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.prompts.paraphrases import numbered

if TYPE_CHECKING:
    from fmri_llm.data.token_windows import ScanTokens
    from fmri_llm.model.fmri_lm import FMRILM

Messages = Sequence[dict[str, str]]


class ScanReader(Protocol):
    """A model that answers questions about scans; `ModelReader` is that for `FMRILM`."""

    def read(self, scan: "ScanTokens") -> Any:
        """Read a scan once, to ask many questions of it.

        Parameters
        ----------
        scan : ScanTokens

        Returns
        -------
        object
            What `log_likelihoods` and `describe` take.
        """

    def log_likelihoods(
        self, scan: Any, prompt: Messages, replies: Sequence[str], *, whole: bool
    ) -> NDArray[np.float64]:
        """Log-likelihood of each reply to a prompt about the scan.

        Parameters
        ----------
        scan : object
            From `read`.
        prompt : sequence of messages
            The conversation before the reply.
        replies : sequence of str
            K possible replies.
        whole : bool
            Whether a reply ends there; False if more would follow it in the same turn.

        Returns
        -------
        (K,) ndarray
            In nats.
        """

    def describe(self, scan: Any, prompt: Messages, max_new_tokens: int) -> str:
        """Generate a greedy reply to a prompt about the scan.

        Parameters
        ----------
        scan : object
            From `read`.
        prompt : sequence of messages
            The conversation before the reply.
        max_new_tokens : int
            Longest reply.

        Returns
        -------
        str
        """


class ModelReader:
    """`ScanReader` of a language model.

    Parameters
    ----------
    model : FMRILM
        It is asked in evaluation mode; its mode is left as it was.
    """

    def __init__(self, model: "FMRILM") -> None:
        self.model = model

    def read(self, scan: "ScanTokens") -> Any:
        """Read all windows of a scan; see `ScanReader.read`."""
        from fmri_llm.data.examples import scans_of

        return self.model.prefill(scans_of([scan]))

    def log_likelihoods(
        self, scan: Any, prompt: Messages, replies: Sequence[str], *, whole: bool
    ) -> NDArray[np.float64]:
        """Score replies; see `ScanReader.log_likelihoods`."""
        if whole:
            scores = self.model.score_answers(scan, list(prompt), list(replies))
        else:
            scores = self._score_beginnings(scan, prompt, replies)
        return scores.double()[0].cpu().numpy()

    def describe(self, scan: Any, prompt: Messages, max_new_tokens: int) -> str:
        """Write a reply; see `ScanReader.describe`."""
        return self.model.generate_text(scan, list(prompt), max_new_tokens=max_new_tokens)[0]

    def _score_beginnings(self, scan: Any, prompt: Messages, replies: Sequence[str]) -> Any:
        """Scores of replies without the end of the turn, which only the last answer precedes."""
        import torch

        from fmri_llm.base_model import chat
        from fmri_llm.inference.scoring import answer_log_likelihoods

        tokenizer = self.model.text_tokenizer
        ends = chat.end_ids(tokenizer)
        prompt_ids, wholes = chat.encode_answers(tokenizer, list(prompt), list(replies))
        beginnings = [ids[:-1] if ids[-1] in ends else ids for ids in wholes]
        with torch.no_grad():
            return answer_log_likelihoods(self.model, scan, [prompt_ids], [beginnings])


def choose(
    reader: ScanReader, scan: Any, prompt: Messages, candidates: Sequence[str]
) -> dict[str, float]:
    """Probability of each candidate as the one answer to a prompt.

    Parameters
    ----------
    reader : ScanReader
        The model.
    scan : object
        From `ScanReader.read`.
    prompt : sequence of messages
        The conversation before the answer.
    candidates : sequence of str
        Possible answers.

    Returns
    -------
    dict of str to float
        Softmax of the log-likelihoods; sums to 1.
    """
    scores = reader.log_likelihoods(scan, prompt, candidates, whole=True)
    return dict(zip(candidates, softmax(scores), strict=True))


def choose_in_turn(
    reader: ScanReader, scan: Any, prompt: Messages, candidates: Sequence[Sequence[str]]
) -> list[dict[str, float]]:
    """Probabilities of the answers to several numbered questions in one turn.

    Each question is answered after the model's own most probable answers to those before it, never
    after the true ones.

    Parameters
    ----------
    reader : ScanReader
        The model.
    scan : object
        From `ScanReader.read`.
    prompt : sequence of messages
        The conversation before the reply.
    candidates : sequence of sequence of str
        Possible answers to each question, in the order asked.

    Returns
    -------
    list of dict of str to float
        One per question, in the order asked.
    """
    chosen: list[str] = []
    probabilities = []
    for options in candidates:
        replies = [numbered([*chosen, option]) for option in options]
        last = len(chosen) + 1 == len(candidates)
        scores = reader.log_likelihoods(scan, prompt, replies, whole=last)
        # The earlier answers are in every reply, so what they add to the scores cancels here.
        probabilities.append(dict(zip(options, softmax(scores), strict=True)))
        chosen.append(options[int(np.argmax(scores))])
    return probabilities


def most_probable(probabilities: Mapping[str, float]) -> str:
    """Candidate with the highest probability; of equals, the first.

    Parameters
    ----------
    probabilities : mapping of str to float
        By candidate.

    Returns
    -------
    str
    """
    return max(probabilities, key=lambda candidate: probabilities[candidate])


def softmax(scores: NDArray[np.float64]) -> list[float]:
    """Probabilities in the ratio of the exponentials of the scores.

    Parameters
    ----------
    scores : (K,) ndarray
        Log-likelihoods in nats.

    Returns
    -------
    list of float
        Sums to 1.
    """
    weights = np.exp(scores - np.max(scores))
    return [float(weight) for weight in weights / weights.sum()]
