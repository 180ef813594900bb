"""All questions as one Markdown page: ``python -m ilr_check.questions.document > docs/reviewers.md``."""

from __future__ import annotations

from itertools import groupby

from ilr_check.questions import Question, questions

HEAD = """\
# What the paper's reviewers asked

Li, Lyu and Arora, *Reconciling Modern Deep Learning with Traditional Optimization Analyses: The Intrinsic
Learning Rate* (NeurIPS 2020), was published with four reviews. Each point that they raised stands here in our
words, with the answer that the theory predicts. What a run measured of it stands in that run's report, in its
last chapter; `ilr-check claims R1.5` prints one page. A claim that `ilr-check claims` does not list is not in
that version yet. Written by `python -m ilr_check.questions.document`.
"""


def markdown() -> str:
    """The page, review after review."""
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
