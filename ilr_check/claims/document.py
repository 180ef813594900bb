"""Write the meaning of each statistical verdict as a page: ``python -m ilr_check.claims.document``.

Its output is docs/holds.md. Everything on it is read from the declarations of the claims.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ilr_check.claims import catalogue, soundness, statistical_laws
from ilr_check.claims.law import Departure, Part, StatisticalLaw
from ilr_check.claims.mistakes import without_near_rival
from ilr_check.stats import Design

LEAD = """# What a `holds` means

A statistical claim compares a number, or a curve, that is read off independent trainings with a prediction.
`holds` means that the whole interval of that number lies inside a margin. The margin is fixed before any
data. This page says, for each statistical claim and each kind of decision in `quick`, what is compared, how
wide the margin is and where it comes from. It also names a mistake just outside of the margin that is
excluded, the *near rival*. The table of [wrong worlds](power.md) says how small a departure a claim was seen
to find.

The record says in `agreement` whether the interval contains the prediction itself. A *premise* is measured on
the judged runs, and where it fails, the verdict is `inconclusive`. A *known departure* is a subject on which
the claim is expected to fail; it is judged in every run. `python -m ilr_check.claims.document` writes this
page.

A mean over runs may lie inside a margin although the trainings are not those of the claim. So no claim holds
unless all trainings of its unit, noise references among them, show run by run what follows. Each number is 0
where all is well, apart from rounding, and has a limit. The first one is measured with SGD alone, and the
second one with every update rule: the rule makes the step once more, from the weights, the gradients and the
state before it. In a world that changes steps all of them are compared, and in a plain training, which makes
all by one program, two to eight. The gradients are measured in layers that are scale-invariant, in language
models up to the eps of their norms. Independence is measured where the losses of 48 steps are recorded, and
in a world that changes batches on the batches themselves: no two runs may see the same examples at one step
or one step apart. Trainings of `deep-bn`, `gd-is-not-gradient-flow` and `periodic-behaviour` show their steps
alone, against the gradient of the loss itself, and `deep-bn` independence as well.

{premises}

Nor does a claim hold where a few runs obey another law than the others: a run that deviates by more than two
margins, and by more than normal runs do, makes it `inconclusive` and is named, unless all runs scatter by
more than the margin. All of this can only cost a `holds`; `violated` stays `violated`. But where runs are not
independent, no interval means anything, and the verdict is `error`.

Claims about language models also judge the second premise, in a finding named `every step`: where a step is
not that of the rule, it is `violated`. Most of these claims compare trainings with each other, so that a
wrong weight decay is in both of them, or lies inside their margins.

One factor on all gradients is no departure. SGD with c times the gradient is SGD with c times lr and 1/c
times the weight decay, so that lambda_e is the same, and every claim that needs the size of the gradient
measures it. The updates of AdamW, Lion and Muon do not change at all, apart from the eps of AdamW.

Nor is noise that is correlated in time a departure for claims about the norm under plain SGD, such as batches
that are used three times: the gradient of a step is orthogonal to its weights, whatever the step before it
was, so that the norm follows from the sizes of the gradients alone. It turns weights further in the long run,
which claims about directions, momentum and batches see.
"""


def render() -> str:
    """Return the page as Markdown."""
    limits = "\n".join(f"- {name}: at most {limit:g}" for name, limit in soundness.LIMITS.items())
    parts = [LEAD.format(premises=limits)]
    for name, laws in statistical_laws().items():
        text = catalogue()[name].text
        parts += [f"## `{name}`: {text.title}\n", f"{text.statement}\n"]
        parts += [line for law in laws for line in _law(law)]
        if text.blind:
            parts.append(f"It cannot see {text.blind}\n")
    return "\n".join(parts)


def _law(law: StatisticalLaw[Any, Any]) -> Iterator[str]:
    lines = dict.fromkeys(
        _decision(part, law.designed(spec, part, 1e-5))
        for spec in law.experiments("quick", 0)
        for part in law.parts(spec)
    )
    if lines:
        yield "\n".join(lines) + "\n"
    if law.presupposes:
        yield f"Premise: {law.presupposes}\n"
    for departure in law.departures:
        yield _departure(departure)


def _decision(part: Part, design: Design) -> str:
    reason = without_near_rival(design, inequality=part.inequality)
    near = [rival.name for rival in design.rivals if design.is_near(rival)]
    others = [rival.name for rival in design.rivals if not design.is_near(rival)]
    excluded = f"near rival: {'; '.join(near)}" if near else f"no near rival, because {reason}"
    if others:
        excluded += f"; other rivals: {'; '.join(others)}"
    margin = f"{_margin(design)}. Margin: {design.margin_reason}"
    return f"- **{design.estimand}** lies in {margin}. {_sentence(excluded)}"


def _margin(design: Design) -> str:
    low, high = design.margin
    if low == -float("inf"):
        return f"(-inf, {high:.3g}]"
    return f"[{low:.3g}, {high:.3g}], where the prediction is {design.theory:.3g}"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _departure(departure: Departure[Any]) -> str:
    expected = ", ".join(
        f"{part or 'every part'} `{verdict}`" for part, verdict in departure.expected.items()
    )
    return f"Known departure, {departure.spec.title} (expected: {expected}): {departure.reason}.\n"


if __name__ == "__main__":
    print(render(), end="")
