"""A value that its declared type does not allow is one line with key, value and fix."""

import json
from dataclasses import dataclass, fields, replace
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Lt, MinLen
from pydantic import TypeAdapter

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.validation import check_fields


@dataclass(frozen=True, kw_only=True)
class Settings:
    count: Annotated[int, Ge(1)] = 1
    level: Annotated[float, Gt(0), Lt(1)] = 0.5
    kinds: Annotated[tuple[Literal["a", "b"], ...], MinLen(1)] = ("a",)

    def __post_init__(self) -> None:
        check_fields(self)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": 0}, "count: 0; give at least 1"),
        ({"count": 1.5}, "count: 1.5; give an integer"),
        ({"count": True}, "count: True; give an integer"),
        ({"level": 0.0}, "level: 0.0; give more than 0"),
        ({"level": float("nan")}, "level: nan; give less than 1"),
        ({"level": "high"}, "level: 'high'; give a number"),
        ({"kinds": ("a", "c")}, "kinds.1: 'c'; give 'a' or 'b'; did you mean 'b'?"),
        ({"kinds": ()}, "kinds: (); give at least 1"),
    ],
)
def test_the_first_wrong_field_is_named_with_its_value_and_what_to_give(given, message):
    with pytest.raises(InputError) as refused:
        Settings(**given)
    assert str(refused.value) == message


def test_checked_settings_are_plain_dataclasses_that_pydantic_reads_from_json():
    written = json.dumps({"count": 2, "level": 0.25, "kinds": ["b"]})

    parsed = TypeAdapter(Settings).validate_json(written, strict=True)

    assert parsed == replace(Settings(), count=2, level=0.25, kinds=("b",))
    assert [field.name for field in fields(Settings)] == ["count", "level", "kinds"]
