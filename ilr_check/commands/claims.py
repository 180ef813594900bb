"""``ilr-check claims`` lists the claims and the questions of the paper's reviewers, or shows one of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ilr_check.questions import Question


@click.command(epilog="Example: ilr-check claims sqrt-recovery, or ilr-check claims R1.5")
@click.argument("name", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def claims(name: str | None, as_json: bool, debug: bool) -> None:
    """List all claims, or show one of them.

    ID is a claim, a question of the paper's reviewers (R1.5), or all questions of one review (R1).
    """
    import msgspec

    from ilr_check import questions

    if name is not None and questions.looks_like(name):
        _questions(questions.select(name), as_json=as_json)
        return

    from ilr_check.claims import catalogue, home, select
    from ilr_check.reporting.claim_page import page
    from ilr_check.reporting.columns import entry, terminal_width

    chosen = list(catalogue().values()) if name is None else list(select(name))
    if as_json:
        built = [msgspec.to_builtins(claim.text) for claim in chosen]
        click.echo(json.dumps(built if name is None else built[0], indent=2))
        return
    for claim in chosen:
        text = claim.text
        if name is None:
            click.echo(entry((text.id, text.kind, text.title), (24, 12), terminal_width()))
            continue
        click.echo(page(text, home(text.id)))
    if name is None:
        click.echo("\nQuestions of the paper's reviewers. `ilr-check claims R1.5` shows the answer to one.")
        for question in questions.questions().values():
            click.echo(entry((question.id, question.review, question.title), (24, 12), terminal_width()))


def _questions(chosen: tuple[Question, ...], *, as_json: bool) -> None:
    import msgspec

    from ilr_check.reporting.question_page import page

    if as_json:
        built = [msgspec.to_builtins(question) for question in chosen]
        click.echo(json.dumps(built if len(built) > 1 else built[0], indent=2))
        return
    click.echo("\n\n\n".join(page(question) for question in chosen))
