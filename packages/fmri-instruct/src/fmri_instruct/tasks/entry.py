"""Parts of a tasks file: text, and entries that know their keys."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from fmri_vqtok.errors import InputError, did_you_mean


def _text(value: Any) -> str:
    # `true` and `false` are values in YAML, and as an answer would become 'True' and 'False'.
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        fix = "put true and false in quotes" if isinstance(value, bool) else "give text"
        raise ValueError(fix)  # noqa: TRY004 - pydantic catches no TypeError
    return str(value).strip()


def _names(value: Any) -> str | tuple[str, ...]:
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("give at least one name")
        return tuple(map(_text, value))
    return _text(value)


Text = Annotated[str, BeforeValidator(_text)]

Names = Annotated[str | tuple[str, ...], BeforeValidator(_names)]
"""One name, or several under which the same thing may be found, the first of them first."""


class Entry(BaseModel):
    """A part of a tasks file that knows its keys, and names the nearest for an unknown one."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, entry: Any) -> Any:
        named = list(cls._keys())
        for key in entry if isinstance(entry, dict) else ():
            if key not in cls.model_fields and key not in named:
                raise InputError(f"{key}: unknown key; {did_you_mean(key, named)}")
        return entry

    @classmethod
    def _keys(cls) -> Iterator[str]:
        """Keys as a file has them."""
        for name, field in cls.model_fields.items():
            yield field.alias or name


def as_names(names: str | tuple[str, ...]) -> tuple[str, ...]:
    """Names as a tuple, be it one or several.

    Parameters
    ----------
    names : str or tuple of str
        As `Names` has them.

    Returns
    -------
    tuple of str
    """
    return (names,) if isinstance(names, str) else names
