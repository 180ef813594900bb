"""Hostile names stay text in every kind of output."""

import re
from xml.etree import ElementTree as Tree

import pytest
from gate_reports import HOSTILE

from ilr_check.reporting import escaping

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


def test_one_line_has_no_control_and_no_command() -> None:
    text = escaping.one_line(HOSTILE)
    assert not CONTROLS.search(text)
    assert "##[" not in text
    assert escaping.one_line("η ‖w‖² lr=0.1") == "η ‖w‖² lr=0.1"


def test_xml_can_be_read_back() -> None:
    element = Tree.Element("a", name=escaping.xml_text(HOSTILE))
    element.text = escaping.xml_text(HOSTILE)
    read = Tree.fromstring(Tree.tostring(element))
    assert read.text is not None
    assert read.text.startswith("</script><img")
    assert list(read) == []


@pytest.mark.parametrize("mark", list("<>\"'`*_[](){}|#@!~\\:$^"))
def test_markdown_leaves_no_mark(mark: str) -> None:
    assert mark not in re.sub(r"&#\d+;", "", escaping.markdown(f"a{mark}b"))


def test_markdown_mentions_nobody_and_links_nothing() -> None:
    text = escaping.markdown(HOSTILE)
    assert not re.search(r"@\w|://|www\.", text)
    assert "\n" not in text


def test_a_fence_is_longer_than_any_inside() -> None:
    block = escaping.markdown_block("a\n````\nb", "python").splitlines()
    assert block[0] == "`````python"
    assert block[-1] == "`````"
    assert max(map(len, re.findall("`+", "\n".join(block[1:-1])))) == 4


def test_a_workflow_command_is_one_line_and_its_values_are_values() -> None:
    line = escaping.workflow_command("error", HOSTILE, file="a,b:c%\n.py", line=3, title=None)
    assert "\n" not in line
    assert "\r" not in line
    head, message = re.fullmatch(r"::error ([^:]*)::(.*)", line).groups()  # type: ignore[union-attr]
    assert head == "file=a%2Cb%3Ac%25%0A.py,line=3"
    assert "%0A::error::forged" in message  # one annotation's text, no line of its own
    assert "%250A" in message


def test_storable_text_is_utf8() -> None:
    assert escaping.storable("a\ud800b") == "a?b"
