"""A record is one line of JSON and comes back as it was."""

import json
import math

import msgspec
import pytest
from make_records import record

from ilr_check.evidence import Margin, Measured, Record, RivalOutcome
from ilr_check.evidence.records import decode, encode

CONTRACT = (
    *("id", "claim", "kind", "form", "group", "subject", "verdict", "measured", "expected", "margin"),
    *("detectable", "false_fail", "false_pass", "rivals", "n_runs", "n_steps", "seed", "device", "dtype"),
    *("seconds", "message", "replay"),
)


@pytest.mark.parametrize(
    "found",
    [
        record(),
        record(measured=Measured(value=None), expected=None, margin=Margin(), detectable=None, rivals=()),
        record(subject={}, events={"net: MLP": 3}, counts=False, figure="x", quantity="‖g‖"),
    ],
    ids=["full", "empty", "extras"],
)
def test_a_record_comes_back_from_its_line(found: Record) -> None:
    line = encode(found)
    assert b"\n" not in line
    assert decode(line) == found


def test_the_fields_are_those_that_scripts_read() -> None:
    stored = json.loads(encode(record()))
    assert [name for name in CONTRACT if name not in stored] == []
    assert set(stored["measured"]) == {"value", "low", "high"}
    assert set(stored["margin"]) == {"low", "high"}
    assert set(stored["rivals"][0]) == {"name", "expected", "excluded"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_are_stored_as_null(value: float) -> None:
    found = record(
        measured=Measured(value=value, low=value, high=1.0),
        rivals=(RivalOutcome(name="r", expected=value, excluded=True),),
    )
    line = encode(found)
    json.loads(line, parse_constant=pytest.fail)  # called for NaN and Infinity, which no strict reader takes
    assert decode(line).measured == Measured(value=None, low=None, high=1.0)
    assert decode(line).rivals[0].expected is None


def test_a_bad_field_is_named() -> None:
    line = encode(record()).replace(b'"holds"', b'"perhaps"')
    with pytest.raises(msgspec.ValidationError, match=r"perhaps.*\$\.verdict"):
        decode(line)


def test_fields_of_a_later_version_are_passed_over() -> None:
    line = encode(record())[:-1] + b',"colour":"red"}'
    assert decode(line) == record()


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        record().verdict = "violated"  # type: ignore[misc]
