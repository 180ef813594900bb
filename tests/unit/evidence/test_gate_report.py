"""The gate's report as JSON: nothing is lost, and a finding is a record that other readers know."""

import msgspec
import pytest
from make_records import record

from ilr_check.evidence import Finding, GateReport, Location, Record
from ilr_check.evidence.gate import decode_report, encode_report


def finding(**changes: object) -> Finding:
    fields = msgspec.structs.asdict(record())
    return Finding(**(fields | {"diagnosis": "decay is lr^2*wd, expected lr*wd"} | changes))


def test_a_report_survives_json() -> None:
    report = GateReport(
        target="m:O",
        contract="adamw",
        verdict="violated",
        exit_code=1,
        findings=(finding(location=Location("m.py", 3, 9)), finding(verdict="holds")),
        fingerprint={"lr_exponent": 2.0},
    )
    assert decode_report(encode_report(report)) == report


def test_a_finding_can_be_read_as_a_record() -> None:
    found = finding()
    read = msgspec.json.decode(msgspec.json.encode(found), type=Record)
    whole = msgspec.structs.asdict(found)
    assert msgspec.structs.asdict(read) == {name: whole[name] for name in Record.__struct_fields__}


def test_a_damaged_report_names_the_field() -> None:
    with pytest.raises(msgspec.ValidationError, match="exit_code"):
        decode_report('{"target": "m:O", "contract": "x", "verdict": "holds", "exit_code": "one"}')
