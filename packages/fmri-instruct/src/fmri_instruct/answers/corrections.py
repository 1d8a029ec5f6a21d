"""What is taken out of a model's answers: what it answers of any scan, and misplaced certainty."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fmri_instruct.answers.probabilities import softmax
from fmri_vqtok.formats.json_files import read_description, write_json

__all__ = ["FILE", "Correction", "Corrections"]

FILE = "corrections.json"
SCHEMA = 1
LEAST = 1e-30  # probability; below it a logarithm says no more


@dataclass(frozen=True, kw_only=True)
class Correction:
    """How the averaged probabilities of the answers to one question are corrected.

    Parameters
    ----------
    prior : dict of str to float
        In nats by answer, subtracted from its log-probability; empty where nothing is.
    temperature : float
        Divides what is left.
    bias : dict of str to float
        In nats by answer, added then; empty where nothing is.
    n_prior : int
        Training subjects whose scans the prior is of.
    n_calibration : int
        Validation subjects that temperature and bias are fitted on; 0 where they are not.
    note : str or None
        Why temperature and bias are not fitted, where that was wanted.
    """

    prior: dict[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    bias: dict[str, float] = field(default_factory=dict)
    n_prior: int = 0
    n_calibration: int = 0
    note: str | None = None

    def apply(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        """Corrected probabilities.

        Parameters
        ----------
        probabilities : mapping of str to float
            By answer, averaged over wordings and orders.

        Returns
        -------
        dict of str to float
            In the same order; they sum to 1.
        """
        if not self.prior and not self.n_calibration:
            return dict(probabilities)
        scores = [
            (np.log(max(p, LEAST)) - self.prior.get(answer, 0.0)) / self.temperature
            + self.bias.get(answer, 0.0)
            for answer, p in probabilities.items()
        ]
        return dict(zip(probabilities, softmax(np.array(scores)), strict=True))


@dataclass(frozen=True, kw_only=True)
class Corrections:
    """How a model is asked, and how its answers are corrected.

    Parameters
    ----------
    wordings : int
        Held-out wordings that are averaged over.
    by_task : dict of str to dict of str to Correction
        By task and paradigm (``single``, ``multi`` or ``context``).
    """

    wordings: int
    by_task: dict[str, dict[str, Correction]] = field(default_factory=dict)

    def of(self, task: str | None, paradigm: str) -> Correction:
        """Correction of a task's answers; one that changes nothing where there is none."""
        known = self.by_task.get(task, {}) if task else {}
        return known.get(paradigm, Correction())

    def write(self, directory: Path) -> None:
        """Write ``corrections.json``.

        Parameters
        ----------
        directory : Path
            An existing folder.
        """
        write_json({"schema": SCHEMA, **asdict(self)}, directory / FILE)

    @classmethod
    def read(cls, directory: Path) -> "Corrections":
        """Read what `write` wrote.

        Parameters
        ----------
        directory : Path
            Folder of an evaluation.

        Returns
        -------
        Corrections

        Raises
        ------
        InputError
            If the file is missing, broken or of a newer schema.
        """
        found: dict[str, Any] = read_description(
            directory / FILE,
            SCHEMA,
            "give the folder that `fmri evaluate` wrote",
            keys=["wordings", "by_task"],
            package="fmri-instruct",
        )
        return cls(
            wordings=found["wordings"],
            by_task={
                task: {paradigm: Correction(**entry) for paradigm, entry in each.items()}
                for task, each in found["by_task"].items()
            },
        )
