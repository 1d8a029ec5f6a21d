"""AdamW with a rate, a decay and a first step per group of parameters."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torch.optim import AdamW, Optimizer

from fmri_vqtok.config.stages import LoopSettings
from fmri_vqtok.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    r"""Parameters with a learning rate, a weight decay or a first step of their own.

    Attributes
    ----------
    name : str
    select : str
        Regular expression that is searched in the names of parameters, such as
        ``r"^tokenizer\.encoder\."``.
    learning_rate : float, optional
        Peak of the schedule; that of the settings by default. The schedule is that of the whole
        run, whatever the first step.
    weight_decay : float, optional
        Decay of the matrices of the group; that of the settings by default.
    from_step : int or None, default=0
        Steps of the run before the group trains; None if it never does. Until then its gradients
        are computed and dropped: they move nothing, enter no norm and no optimizer state. Where a
        parameter is frozen for the whole run, ``requires_grad_(False)`` saves computing them.
    """

    name: str
    select: str
    learning_rate: float | None = None
    weight_decay: float | None = None
    from_step: int | None = 0


def make_optimizer(
    model: nn.Module, groups: Sequence[ParameterGroup], settings: LoopSettings
) -> AdamW:
    """AdamW over the parameters of a model that require gradients.

    Only matrices decay: biases, norms and temperatures are vectors or scalars, and shrinking them
    helps nothing. Neither do parameters that a module names in ``no_weight_decay``.

    Parameters
    ----------
    model : nn.Module
    groups : sequence of ParameterGroup
        A parameter belongs to the first group that selects it; one that none selects trains as
        the settings say.
    settings : LoopSettings

    Raises
    ------
    InputError
        If a group selects nothing.
    """
    no_decay = {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        for name in getattr(module, "no_weight_decay", ())
    }
    remaining = {name: p for name, p in model.named_parameters() if p.requires_grad}
    param_groups = []
    for group in (*groups, ParameterGroup(name="", select="")):
        selected = {name: p for name, p in remaining.items() if re.search(group.select, name)}
        if group.select and not selected:
            raise InputError(
                f"parameter group {group.name}: '{group.select}' selects no parameter that trains "
                "and is in no group before it; give a pattern of names of parameters"
            )
        remaining = {name: p for name, p in remaining.items() if name not in selected}
        rate = settings.learning_rate if group.learning_rate is None else group.learning_rate
        decay = settings.weight_decay if group.weight_decay is None else group.weight_decay
        param_groups += [
            {
                "name": group.name,
                "from_step": group.from_step,
                "lr": rate,
                "weight_decay": decay if decays else 0.0,
                "params": [
                    p
                    for name, p in selected.items()
                    if (p.ndim >= 2 and name not in no_decay) == decays
                ],
            }
            for decays in (True, False)
        ]
    return AdamW(param_groups)


def drop_frozen_gradients(optimizer: Optimizer, step: int) -> None:
    """Drop the gradients of groups that do not train yet: AdamW passes over such parameters.

    Parameters
    ----------
    optimizer : Optimizer
        Of `make_optimizer`.
    step : int
        Steps of the run that are done.
    """
    for group in optimizer.param_groups:
        if group["from_step"] is None or step < group["from_step"]:
            for parameter in group["params"]:
                parameter.grad = None


def learning_rates(optimizer: Optimizer) -> dict[str, float]:
    """Present rates, ``learning_rate``, and ``learning_rate/<name>`` of each named group."""
    return {
        f"learning_rate/{group['name']}" if group["name"] else "learning_rate": float(group["lr"])
        for group in optimizer.param_groups
    }
