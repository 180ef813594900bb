"""Write all questions as a Markdown page: ``python -m ilr_check.questions.document > docs/reviewers.md``."""

from __future__ import annotations

from itertools import groupby

from ilr_check.questions import SYMBOLS, Question, questions

HEAD = f"""\
# What the paper's reviewers asked

The paper is Li, Lyu and Arora, *Reconciling Modern Deep Learning with Traditional Optimization Analyses: The
Intrinsic Learning Rate* (NeurIPS 2020). It was published with four reviews. This page states each point that
the reviewers raised, in our own words, and the answer that the theory predicts. The measured numbers of a run
are in the last chapter of its report. `ilr-check claims R1.5` prints one question. `ilr-check claims` lists
the claims of the installed version. `python -m ilr_check.questions.document` writes this page.

{SYMBOLS}
"""


def markdown() -> str:
    """Return the page, in the order of the reviews."""
    parts = [HEAD]
    for review, members in groupby(questions().values(), key=lambda question: question.review):
        parts.append(f"## {review}\n")
        parts.extend(_entry(question) for question in members)
    return "\n".join(parts)


def _entry(question: Question) -> str:
    judged = ", ".join(f"`{claim}`" for claim in question.claims) or "none"
    return "\n".join(
        (
            f"### {question.id} {question.title}\n",
            f"{question.question} *Why it is a good question:* {question.why}\n",
            f"**The theory answers.** {question.answer}\n",
            f"```\n{question.equation}\n```\n",
            f"**Experiment.** {question.experiment} Claims: {judged}.\n",
            f"**Open.** {question.open}\n",
        )
    )


if __name__ == "__main__":
    print(markdown(), end="")
