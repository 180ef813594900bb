"""Judge this optimizer, in place of torch's SGD, by the exact laws of trainings."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from ilr_check.evidence import Margin, Measured
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs
from ilr_check.gate.subject import Subject
from ilr_check.optim.hyper import HyperParams
from ilr_check.seeds import derive

ORDER = 40
EXAMPLES = {"quick": 4, "standard": 60}
NAMES = ("lr", "weight_decay", "momentum", "dampening", "nesterov")


def applies(subject: Subject) -> str:
    """Return why the law is not judged: these laws need the SGD family with decay in the gradient."""
    reason = needs("lr", "weight_decay")(subject)
    if reason or subject.contract is None:
        return reason
    if subject.contract.name != "sgd" or subject.declared:
        return "the exact laws of trainings are those of SGD; the other families have scaling-symmetry"
    if subject.needs_closure or subject.takes_names or subject.tags.steps_in_backward:
        return "the trainings of these laws take steps without a closure, a name or a hook"
    fixed = [name for name in NAMES if name in subject.fixed_names]
    if fixed:
        return f"{' and '.join(fixed)} is fixed, and the exact laws of trainings vary it"
    wanting = [name for name in NAMES if not subject.can_vary(name)]
    return f"{' and '.join(wanting)} cannot be set" if wanting else ""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Search a few generated nets for each law by Hypothesis, the same ones for the same seed."""
    from ilr_check.claims import laws
    from ilr_check.claims.exact.checks.motion import KeptTrainings
    from ilr_check.claims.exact_law import Outcome
    from ilr_check.claims.search import search

    def optimizer(parameters: Sequence[Any], hyper: HyperParams) -> Any:
        return subject.build(list(parameters), **{name: getattr(hyper, name) for name in NAMES})

    found = False
    # Laws that draw the same kind of example draw the same nets, and share their trainings.
    kept = KeptTrainings(optimizer)
    for name, law in laws().items():
        if not law.takes_optimizer:
            continue
        judged = law.of(kept, {"optimizer": subject.title, "args": dict(subject.args)})
        worst = Outcome()
        count = 0

        def attempt(example: Any, judged: Any = judged) -> None:
            nonlocal worst, count
            count += 1
            outcome = judged.check(example)
            if outcome.ratio > worst.ratio:
                worst = outcome
            if outcome.ratio > 1.0:
                raise AssertionError("found")

        broken = search(
            judged.examples(),
            functools.partial(attempt),
            examples=EXAMPLES[circumstances.profile],
            seed=derive("training-laws", circumstances.seed),
            # Shrinking tells nothing new once a law has decided, this one included.
            shrink=not (circumstances.decided or found),
        )
        found = found or broken is not None
        outcome = worst if broken is None else judged.check(broken)
        yield Reading(
            group=name,
            verdict="holds" if outcome.ratio <= 1.0 else "violated",
            quantity=law.quantity,
            measured=Measured(value=outcome.ratio if outcome.ratio < float("inf") else None),
            expected=0.0,
            margin=Margin(low=0.0, high=1.0),
            message=f"{count} generated nets, worst residual {outcome.ratio:.3g} of its bound"
            if broken is None
            else judged.failure(broken, outcome),
            diagnosis="" if broken is None else f"trainings break {name}: {law.text.meaning}",
            n_steps=outcome.steps,
        )


LAW = GateLaw(
    text=law_text(
        "training-laws",
        "The exact laws of trainings",
        "On generated nets trained with this optimizer, every exact law about SGD steps holds.",
        equation="‖w′‖² = (1 − lr·wd)² ‖w‖² + lr² ‖g‖²",
        source="ilr-check verify --claims exact",
        meaning="In real trainings the optimizer does not do what its steps by hand did.",
    ),
    tier="exact",
    blind_to="families other than SGD",
    check=check,
    applies=applies,
)
