"""``eval()`` and ``train()`` of an optimizer undo each other."""

from __future__ import annotations

from collections.abc import Iterable

from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, ratio_reading
from ilr_check.gate.stimuli.paths import difference, paths
from ilr_check.gate.subject import Subject
from ilr_check.optim.contracts.running import ROUNDINGS

ORDER = 9
STEPS = 3
UNIT = 2.0**-53


def applies(subject: Subject) -> str:
    """Return why a subject is passed over: it has no modes."""
    trial = next(iter(paths(subject, Circumstances("modes"), steps=1).values())).begin()
    modes = (getattr(trial.optimizer, name, None) for name in ("train", "eval"))
    return "" if all(map(callable, modes)) else "it has no train() and eval()"


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge three steps, then eval(), eval() again, and train(), for each setting."""
    for words, path in paths(subject, circumstances, steps=STEPS).items():
        trial = path.advance(path.begin(), 0, STEPS)
        before = trial.values()
        trial.optimizer.eval()
        inside = trial.values()
        trial.optimizer.eval()
        repeated = difference(inside, trial.values())
        trial.optimizer.train()
        # Both ways are an interpolation with a weight of at most 1 / momentum. Each rounds a few times,
        # relative to the larger of the weights in the two modes.
        size = max(float(w.abs().max()) for w in (*before, *inside))
        bound = 2 * ROUNDINGS * UNIT * size / min(1.0, float(trial.hyper.get("momentum") or 1.0))
        apart = difference(before, trial.values())
        yield ratio_reading(
            max(apart, repeated) / bound,
            group=words,
            n_steps=STEPS,
            message=f"after eval() and train() the weights differ by {apart:.3g}, after eval() twice by "
            f"{repeated:.3g}; rounding allows {bound:.3g}",
            diagnosis=""
            if max(apart, repeated) <= bound
            else f"eval() and train() do not undo each other: the weights come back {apart:.3g} off"
            if apart > bound
            else f"a second eval() moves the weights by {repeated:.3g}",
        )


LAW = GateLaw(
    text=law_text(
        "modes",
        "eval() and train() undo each other",
        "After eval() and train() the weights are what they were, and a second eval() changes nothing.",
        equation="train(eval(w)) = w, eval(eval(w)) = eval(w)",
        source="Defazio et al. 2024: the weights differ in the modes for training and for evaluation",
        meaning="Every validation moves the weights of the training.",
    ),
    tier="exact",
    blind_to="what the weights are in the mode for evaluation",
    check=check,
    applies=applies,
)
