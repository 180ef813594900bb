"""Wrong worlds of several kinds and sizes, for the table of what statistical claims can see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from worlds import SteppingAs

from ilr_check.optim.modelled import MODELLED


class Wrong:
    """A world of one size; ``name`` says what is wrong.

    The updates below have heavy ball's form, so that a training with Nesterov momentum keeps its own.
    """

    replaces = ("sgd", "heavy-ball")

    def __init__(self, name: str, size: float = 0.0, **settings: Any) -> None:
        self.name, self.size = name, size
        vars(self).update(settings)


class WrongDecay(Wrong):
    """Weight decay is another one than stated, or, with ``late``, acts on the weights after the step."""

    late = False

    def decay(self, weight_decay, name, step):  # type: ignore[no-untyped-def]
        """Return the weight decay that acts on a tensor."""
        return weight_decay

    def update(self, name, weights, gradient, buffer, lr, weight_decay, momentum, step):  # type: ignore[no-untyped-def]
        decay = self.decay(weight_decay, name, step)
        buffer = momentum * buffer + gradient
        if self.late:
            return (1.0 - lr * decay) * (weights - lr * buffer), buffer
        buffer = buffer + decay * weights
        return weights - lr * buffer, buffer


class Decay(WrongDecay):
    """Weight decay acts ``size`` times as much as stated."""

    def decay(self, weight_decay, name, step):  # type: ignore[no-untyped-def]
        return self.size * weight_decay


class LateDecay(WrongDecay):
    """Weight decay is applied to the weights after the step."""

    late = True


class EveryOther(WrongDecay):
    """Weight decay is doubled at every other step and absent at the others."""

    def decay(self, weight_decay, name, step):  # type: ignore[no-untyped-def]
        return (2.0 if step % 2 == 0 else 0.0) * weight_decay


class FirstTensorSpared(WrongDecay):
    """The first tensor that should have weight decay has none."""

    first = ""

    def decay(self, weight_decay, name, step):  # type: ignore[no-untyped-def]
        if not self.first and bool((weight_decay != 0.0).any()):
            self.first = name
        return 0.0 * weight_decay if name == self.first else weight_decay


class OfRule(SteppingAs):
    """The same wrong weight decay in another rule than SGD's, which decays the weights before the step."""

    def __init__(self, of: WrongDecay, rule: str, hyper: Mapping[str, float]) -> None:
        super().__init__(MODELLED[rule], rule, **hyper)
        self.wrong, self.name, self.fraction = of, of.name, getattr(of, "fraction", 1.0)

    def update(self, name, weights, gradient, buffer, lr, weight_decay, momentum, step):  # type: ignore[no-untyped-def]
        decay = self.wrong.decay(weight_decay, name, step)
        before = 0.0 * decay if self.wrong.late else decay
        new, buffer = super().update(name, weights, gradient, buffer, lr, before, momentum, step)
        return (1.0 - lr * decay) * new if self.wrong.late else new, buffer


class GainsFollowNorms(SteppingAs):
    """The gains of the norms of queries and keys, which AdamW trains, grow with the norms of their matrices
    to the power ``size``. With 1 attention is as if it had no such norms."""

    def __init__(self, name: str, size: float) -> None:
        super().__init__(MODELLED["adamw"], "adamw", beta1=0.9, beta2=0.95, eps=1e-8)
        self.name, self.size = name, size
        self.now: dict[str, Tensor] = {}
        self.seen: dict[str, Tensor] = {}

    def gradient(self, name: str, gradient: Tensor, weights: Tensor, step: int) -> Tensor:
        if name.startswith(("q.", "k.")):
            self.now[name] = weights.flatten(1).norm(dim=1)[:, None]
        return gradient

    def update(self, name, weights, gradient, buffer, lr, weight_decay, momentum, step):  # type: ignore[no-untyped-def]
        new, buffer = super().update(name, weights, gradient, buffer, lr, weight_decay, momentum, step)
        kind, _, block = name.removesuffix(".gain").partition("_norm.")
        if block:
            matrix = f"{kind}.{block}.weight"
            new = new * (self.now[matrix] / self.seen.get(matrix, self.now[matrix])) ** self.size
            self.seen[matrix] = self.now[matrix]
        return new, buffer


class LateLR(Wrong):
    """The optimizer sees every learning rate one step late."""

    before: Tensor | None = None

    def lr(self, lr: Tensor, step: int) -> Tensor:
        late = lr if self.before is None else self.before
        self.before = lr.clone()
        return late


class Power(Wrong):
    """The gradient falls as r^-(1 + size), where r is the norm of the tensor."""

    def gradient(self, name: str, gradient: Tensor, weights: Tensor, step: int) -> Tensor:
        norm = weights.flatten(1).norm(dim=1).reshape(-1, *[1] * (weights.dim() - 1))
        return gradient * norm**-self.size


class Leak(Wrong):
    """The gradient has a part of ``size`` times its length along the weights."""

    def gradient(self, name: str, gradient: Tensor, weights: Tensor, step: int) -> Tensor:
        shape = (-1, *[1] * (weights.dim() - 1))
        lengths, norms = (x.flatten(1).norm(dim=1).reshape(shape) for x in (gradient, weights))
        return gradient + self.size * lengths * weights / norms


class SameBatch(Wrong):
    """Every batch is used in two steps, one after the other."""

    kept: tuple[Tensor, Tensor] | None = None

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        if step % 2 == 0 or self.kept is None:
            self.kept = (rows.clone(), labels.clone())
        return self.kept


class OnePath(Wrong):
    """All runs of a population take the batches of the first one."""

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        return rows[:1].expand_as(rows).clone(), labels[:1].expand_as(labels).clone()


class Later(Wrong):
    """Every run takes the batches of the run before it, one step later."""

    before: tuple[Tensor, ...] = ()

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, ...]:
        now = rows.clone(), labels.clone()
        for mine, old in zip(now, self.before, strict=False):
            mine[1:] = old[:-1]
        self.before = now
        return now


WORLDS: tuple[Wrong | None, ...] = (
    None,
    *(Decay(f"decay {100 * size:g} % too strong", 1.0 + size) for size in (0.02, 0.05, 0.1, 0.2, 1.0)),
    Decay("decay 20 % too weak", 0.8),
    LateDecay("decay after the step"),
    EveryOther("decay doubled at every other step"),
    FirstTensorSpared("no decay in the first layer"),
    *(Decay(f"no decay in {100 * share:g} % of the runs", 0.0, fraction=share) for share in (0.03, 0.1)),
    Decay("tenfold decay in 3 % of the runs", 10.0, fraction=0.03),
    LateLR("lr late by a step"),
    *(Power(f"gradient as r^-{1.0 + size:g}", size) for size in (0.1, 0.25, 0.5)),
    *(Leak(f"{100 * size:g} % of the gradient along the weights", size) for size in (0.005, 0.01, 0.02)),
    SameBatch("every batch used twice"),
    OnePath("one path of batches for all runs"),
)
"""``None`` is the theory's own row."""
