"""The reviewers' questions: every one is there, every claim that it names exists, and every claim belongs to
one."""

import importlib

import pytest

from ilr_check import questions
from ilr_check.claims import catalogue
from ilr_check.questions import Question, select

# The numbers of the four reviews; letters where a review makes a demand without a number.
NUMBERS = {"R1": [*"abt", *range(1, 9)], "R2": range(1, 12), "R3": range(1, 6), "R4": range(1, 5)}
EXPECTED = {f"{review}.{number}" for review, numbers in NUMBERS.items() for number in numbers}

WITHOUT_CLAIMS = {"R3.5": "it asks for a tool, and no measurement shows that a tool is clear"}
PRACTICE = "the practice of language models asks it, which came after the reviews"
OF_LANGUAGE = (
    "balance",
    "equilibrium",
    "norm-relaxation",
    "time-scale",
    "drop",
    "tail",
    "no-decay",
    "attention",
)
NO_QUESTION = dict.fromkeys((f"lm-{name}" for name in OF_LANGUAGE), PRACTICE)
"""Statistical claims that no reviewer asked for, with the reason why they are there."""

EVERY = list(questions.questions().values())
STATISTICAL = [claim.id for claim in catalogue().values() if claim.text.chapter != "exact"]


def test_every_point_of_the_reviews_has_its_page() -> None:
    assert {question.id for question in EVERY} == EXPECTED


@pytest.mark.parametrize("question", EVERY, ids=lambda question: question.id)
def test_a_question_names_claims_that_exist(question: Question) -> None:
    assert set(question.claims) <= set(catalogue())
    assert len(set(question.claims)) == len(question.claims)
    assert bool(question.claims) != (question.id in WITHOUT_CLAIMS)


@pytest.mark.parametrize("claim", STATISTICAL)
def test_a_statistical_claim_answers_a_question_or_says_why_none(claim: str) -> None:
    assert bool(questions.answered_by(claim)) != (claim in NO_QUESTION)


@pytest.mark.parametrize("question", EVERY, ids=lambda question: question.id)
def test_a_page_is_whole(question: Question) -> None:
    texts = (question.question, question.why, question.experiment, question.answer)
    assert min(map(len, texts)) > 30
    assert question.title.endswith("?")
    assert question.equation
    assert question.open
    assert question.review == f"Review {question.id[1]}"


@pytest.mark.parametrize("name", sorted({name for question in EVERY for name in question.theory}))
def test_the_theory_named_on_a_page_is_code(name: str) -> None:
    module, _, function = name.partition(".")
    assert callable(getattr(importlib.import_module(f"ilr_check.theory.{module}"), function))


@pytest.mark.parametrize("name", sorted({*catalogue(), "none-of-this-name"}))
def test_a_claim_is_here_if_the_catalogue_has_it(name: str) -> None:
    assert questions.is_here(name) == (name in catalogue())


def test_a_command_names_only_claims_that_can_be_run() -> None:
    question = select("R1.b")[0]
    changed = Question(
        **{field: getattr(question, field) for field in question.__struct_fields__ if field != "claims"},
        claims=("none-of-this-name", "mixing-time"),
    )
    assert questions.command(changed) == "ilr-check verify --claims mixing-time"


def test_the_order_is_that_of_the_reviews() -> None:
    names = [question.id for question in EVERY]
    assert names[:4] == ["R1.a", "R1.b", "R1.t", "R1.1"]
    assert names.index("R2.9") + 1 == names.index("R2.10")
    assert names[-1] == "R4.4"


@pytest.mark.parametrize(
    ("word", "count"), [("R1.5", 1), ("r1.5", 1), ("R1.A", 1), ("R4", 4), ("questions", len(EXPECTED))]
)
def test_words_that_name_questions(word: str, count: int) -> None:
    assert questions.looks_like(word)
    assert len(select(word)) == count


@pytest.mark.parametrize("word", [*catalogue(), "all", "exact", "R5.1", "R1.5,R1.6", ""])
def test_words_that_do_not(word: str) -> None:
    assert not questions.looks_like(word)


def test_an_unknown_id_raises_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown question 'R1\.9'; known are R1\.a, R1\.b"):
        select("R1.9")
