"""The probe: a linear model on a language model's hidden states where it is about to answer.

What it reads is in the hidden state. The difference to the model's own answers is what the way from
there to the words loses.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.baselines.classes import align_classes
from fmri_instruct.baselines.linear import LinearClassifier, LinearRegressor
from fmri_instruct.evaluation.baseline_answers import LabelledScans, fitted_answers, true_answers
from fmri_instruct.prompts.instructions import Instruction
from fmri_instruct.prompts.paraphrases import PromptBank, question_turn
from fmri_instruct.scoring.scores import Method
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task

if TYPE_CHECKING:
    from fmri_llm.inference.prefix import BrainPrefix
    from fmri_llm.model.fmri_lm import FMRILM

__all__ = ["PromptStates", "layers_kept", "probe_method"]

MOST_LAYERS = 9
"""Layers that are kept of a model, evenly chosen, so that large cohorts fit into memory."""

LEAST = 1e-12  # probability


def layers_kept(n_layers: int) -> list[int]:
    """Layers whose hidden states are kept: some in the middle, and the last.

    Parameters
    ----------
    n_layers : int
        Layers of the model, at least one.

    Returns
    -------
    list of int
        Ascending, from 1 on; 0 would be the input embeddings, which have not seen the scan.

    Examples
    --------
    >>> layers_kept(30)
    [1, 5, 8, 12, 16, 19, 23, 26, 30]
    """
    return np.linspace(1, n_layers, min(n_layers, MOST_LAYERS)).round().astype(int).tolist()


class PromptStates:
    """Hidden states of a model at the end of each task's question, by scan.

    Parameters
    ----------
    model : FMRILM
        It is not changed.
    tasks : sequence of Task
        What is asked, in the wording of held-out scans.

    Attributes
    ----------
    layers : list of int
        Layers that are kept.
    n_layers : int
        Layers of the model.
    """

    def __init__(self, model: "FMRILM", tasks: Sequence[Task]) -> None:
        bank = PromptBank.load()
        self._model = model
        self._tasks = {task.name: place for place, task in enumerate(tasks)}
        self._prompts = [question_turn(bank.single(task, task.candidates)) for task in tasks]
        self._by_scan: dict[str, NDArray[np.float32]] = {}
        self.n_layers = int(model.language_model.config.num_hidden_layers)
        self.layers = layers_kept(self.n_layers)

    def add(self, scan_id: str, prefix: "BrainPrefix") -> None:
        """Ask all questions about a scan that the model has read.

        Parameters
        ----------
        scan_id : str
            Name of the scan.
        prefix : BrainPrefix
            What ``model.prefill`` made of it.
        """
        states = self._model.prompt_states(prefix, self._prompts)[:, self.layers]
        self._by_scan[scan_id] = states.float().cpu().numpy()

    def of(self, task: str, scan_ids: Sequence[str], layer: int) -> NDArray[np.float64]:
        """Hidden states at a task's question.

        Parameters
        ----------
        task : str
            Name of the task.
        scan_ids : sequence of str
            Scans that were added.
        layer : int
            One of `layers`.

        Returns
        -------
        (n, D) ndarray
        """
        place, kept = self._tasks[task], self.layers.index(layer)
        rows = [self._by_scan[scan_id][place, kept] for scan_id in scan_ids]
        return np.array(rows, dtype=np.float64)


def probe_method(
    task: Task,
    instructions: Mapping[str, Sequence[Instruction]],
    states: PromptStates,
    settings: EvaluateSettings,
    seed: int,
    numbers: Mapping[str, float] | None = None,
) -> Method:
    """Answers of logistic regression, or ridge regression, on the hidden states of a model.

    Parameters
    ----------
    task : Task
        What is asked.
    instructions : mapping of str to sequence of Instruction
        By split. Training scans are fitted on, validation scans choose the layer, test scans are
        asked about.
    states : PromptStates
        Of all scans that have a label.
    settings : EvaluateSettings
        The fixed penalty.
    seed : int
        Seed of the inner folds.
    numbers : mapping of str to float, optional
        Of a continuous task: the true number by scan id.

    Returns
    -------
    Method
        Its note tells the layer.
    """
    truth = {split: true_answers(instructions[split], task.name) for split in instructions}
    subjects = {each.scan_id: each.subject for rows in instructions.values() for each in rows}
    continuous = task.kind == "continuous"
    targets: Mapping[str, Any] = numbers or {} if continuous else truth["train"]
    train = list(truth["train"])

    def fit(layer: int) -> LinearClassifier | LinearRegressor:
        make = LinearRegressor if continuous else LinearClassifier
        return make(settings.regularisation, seed).fit(
            states.of(task.name, train, layer),
            [targets[scan_id] for scan_id in train],
            [subjects[scan_id] for scan_id in train],
        )

    def loss(layer: int) -> float:
        held_out = list(truth["validation"])
        features = states.of(task.name, held_out, layer)
        if continuous:
            true = [targets[scan_id] for scan_id in held_out]
            return float(np.mean((fit(layer).predict(features) - true) ** 2))
        return _log_loss(task, fit(layer), features, list(truth["validation"].values()))

    chosen = bool(truth["validation"])
    middle = states.layers[len(states.layers) // 2]
    layer = min(states.layers, key=loss) if chosen else middle
    fitted = fit(layer)
    asked = [(scan_id, subjects[scan_id]) for scan_id in truth["test"]]
    scans = LabelledScans(task, [], [], [], truth["test"], numbers or {})
    why = "chosen on validation subjects" if chosen else "the middle: no validation subject"
    return Method(
        name=f"hidden state + {'ridge' if continuous else 'logistic'} regression",
        answers=fitted_answers(
            fitted, states.of(task.name, list(truth["test"]), layer), asked, scans
        ),
        note=f"after layer {layer} of {states.n_layers} at the end of the question ({why}); "
        f"{fitted.how}",
        baseline=True,
    )


def _log_loss(
    task: Task, fitted: Any, features: NDArray[np.float64], truth: Sequence[str]
) -> float:
    rows = align_classes(fitted.predict_proba(features), fitted.classes_.tolist(), task.candidates)
    places = [task.candidates.index(answer) for answer in truth]
    return float(-np.log(np.maximum(rows[np.arange(len(rows)), places], LEAST)).mean())
