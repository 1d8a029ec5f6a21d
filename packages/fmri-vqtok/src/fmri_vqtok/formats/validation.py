"""Values that do not fit their declared types, as one line for the user."""

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from annotated_types import Ge, Gt, Lt

from fmri_vqtok.errors import InputError, did_you_mean

Count = Annotated[int, Ge(1)]
Positive = Annotated[float, Gt(0), Lt(math.inf)]
NonNegative = Annotated[float, Ge(0), Lt(math.inf)]
Share = Annotated[float, Ge(0), Lt(1)]

if TYPE_CHECKING:
    from pydantic import ValidationError

_LONGEST_SHOWN = 80  # characters of a wrong value that a message repeats

_FIXES = {
    "bool_type": "give true or false",
    "dict_type": "give a mapping",
    "float_type": "give a number",
    "greater_than": "give more than {gt:g}",
    "greater_than_equal": "give at least {ge:g}",
    "int_from_float": "give an integer",
    "int_type": "give an integer",
    "less_than": "give less than {lt:g}",
    "less_than_equal": "give at most {le:g}",
    "model_type": "give a mapping",
    "string_type": "give text",
    "too_short": "give at least {min_length}",
    "tuple_type": "give a list",
}
"""By pydantic's type of error, what to do; https://docs.pydantic.dev/latest/errors/."""


def input_error(error: "ValidationError", where: str = "") -> InputError:
    """First fault that pydantic found, as one line with the key, its value and the fix.

    A validator that raises a ValueError gives the fix alone; one that raises an InputError gives
    the whole line but for the keys above its own.

    Parameters
    ----------
    error : pydantic.ValidationError
    where : str, default=""
        What the keys belong to, put before them.

    Returns
    -------
    InputError
    """
    fault = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in (where, *fault["loc"]) if str(part))
    context = fault.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, InputError):
        return InputError(f"{key}.{cause}" if key else str(cause))
    if fault["type"] == "missing":
        above, _, name = key.rpartition(".")
        return InputError(f"{above}: no '{name}'; add it")
    shown = repr(fault["input"])
    if len(shown) > _LONGEST_SHOWN:
        shown = f"{shown[:_LONGEST_SHOWN]}…"
    if context.get("lt") == math.inf:
        fix = "give a finite number"
    elif fault["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        fix = f"give {context['expected']}; {did_you_mean(fault['input'], choices)}"
    else:
        fix = str(cause) if cause else _FIXES.get(fault["type"], fault["msg"]).format(**context)
    return InputError(f"{key}: {shown}; {fix}")


def check_fields(settings: Any) -> None:
    """Refuse a dataclass with a value that its annotations do not allow.

    Parameters
    ----------
    settings : dataclass
        Ranges and choices are in the annotations: ``Annotated[int, Ge(1)]``, ``Literal``.

    Raises
    ------
    InputError
        For the first such field.
    """
    from pydantic import TypeAdapter, ValidationError

    for name, hint in get_type_hints(type(settings), include_extras=True).items():
        try:
            TypeAdapter(hint).validate_python(getattr(settings, name), strict=True)
        except ValidationError as error:
            raise input_error(error, name) from error
