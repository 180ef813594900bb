"""LAMB, LARS and Muon with one slip each."""

from __future__ import annotations

import math

from torch import Tensor

from ..by_hand.base import Group, State, shrink
from ..by_hand.layerwise import HandLAMB, HandLARS, HandMuon
from ..records import mutant


@mutant("lamb", "decay", "the trust ratio is taken before the decay is added", "ratio|norm")
class LAMBRatioWithoutDecay(HandLAMB):
    def scaled(self, p: Tensor, step: Tensor, group: Group) -> None:
        p.sub_(group["lr"] * self.ratio(p, step) * (step + group["weight_decay"] * p))


@mutant("lamb", "decay", "the decay stays outside the trust ratio", "ratio|outside|decoupled|shrink")
class LAMBDecayOutside(HandLAMB):
    def scaled(self, p: Tensor, step: Tensor, group: Group) -> None:
        ratio = self.ratio(p, step)
        shrink(p, group)
        p.sub_(group["lr"] * ratio * step)


@mutant("lamb", "moments", "a zero tensor has trust ratio zero and never moves", "zero|ratio")
class LAMBZeroNeverMoves(HandLAMB):
    def ratio(self, p: Tensor, step: Tensor) -> float:
        return float(p.norm()) / max(float(step.norm()), 1e-12)


@mutant("lamb", "moments", "the trust ratio is clipped at ten, undeclared", "ratio|clip")
class LAMBRatioClipped(HandLAMB):
    def ratio(self, p: Tensor, step: Tensor) -> float:
        return min(10.0, super().ratio(p, step))


@mutant("lamb", "moments", "the norms are divided by the root of the size of a row", "ratio|norm|factor")
class LAMBNormOfRows(HandLAMB):
    def ratio(self, p: Tensor, step: Tensor) -> float:
        return super().ratio(p, step) / math.sqrt(p.shape[-1] if p.dim() else 1)


@mutant("lamb", "bias correction", "no bias correction, undeclared", "bias|corrected")
class LAMBWithoutBias(HandLAMB):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        return 1.0, 1.0


@mutant("lars", "decay", "the ratio's denominator leaves the decay out", "ratio|norm")
class LARSRatioWithoutDecay(HandLARS):
    def ratio(self, above: float, below: float, group: Group) -> float:
        return super().ratio(above, below, group | {"weight_decay": 0.0})


@mutant("lars", "decay", "the decay is not scaled by the ratio", "ratio|decay")
class LARSDecayUnscaled(HandLARS):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        above, below = float(p.norm()), float(g.norm())
        ratio = self.ratio(above, below, group) if above and below else 1.0
        return ratio * g + group["weight_decay"] * p


@mutant(
    "lars",
    "moments",
    "the ratio is squared norms over squared norms",
    "ratio|norm|degree|homogen",
)
class LARSNormsSquared(HandLARS):
    def ratio(self, above: float, below: float, group: Group) -> float:
        return super().ratio(above**2, below**2, group)


@mutant("lars", "momentum", "the ratio is applied after the momentum", "ratio|order|momentum")
class LARSRatioAfterMomentum(HandLARS):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        above, below = float(p.norm()), float(g.norm())
        ratio = self.ratio(above, below, group) if above and below else 1.0
        self.move(p, ratio * self.direction(g + group["weight_decay"] * p, group, state), group, state)


@mutant("muon", "decay", "the decay uses the lr that was adjusted to the shape", "adjust|shape")
class MuonDecayAdjusted(HandMuon):
    def decay(self, p: Tensor, group: Group) -> None:
        shrink(p, group, group["lr"] * self.adjustment(p))


@mutant(
    "muon",
    "decay",
    "weight_decay is taken and ignored",
    "no effect|no weight decay",
    thread="tinygrad/tinygrad#17708",
)
class MuonDecayIgnored(HandMuon):
    def decay(self, p: Tensor, group: Group) -> None:
        return


@mutant(
    "muon", "moments", "three Newton-Schulz steps instead of ns_steps", "newton|iteration|orthogonal|singular"
)
class MuonThreeIterations(HandMuon):
    def orthogonal(self, g: Tensor, group: Group) -> Tensor:
        return super().orthogonal(g, group | {"ns_steps": 3})


@mutant(
    "muon",
    "moments",
    "tall matrices are iterated on the wrong side",
    "tall|orthogonal|singular|transpos",
)
class MuonTallWrong(HandMuon):
    def orthogonal(self, g: Tensor, group: Group) -> Tensor:
        step = super().orthogonal(g, group)
        return step.T.reshape(g.shape) if g.shape[0] > g.shape[1] else step


@mutant(
    "muon",
    "rate",
    "the adjustment is that of the other side: sqrt(columns / rows)",
    "adjust|shape|factor",
)
class MuonAdjustmentUpsideDown(HandMuon):
    def adjustment(self, p: Tensor) -> float:
        return math.sqrt(max(1.0, p.shape[1] / p.shape[0]))


@mutant("muon", "momentum", "nesterov is taken and ignored", "nesterov")
class MuonNesterovIgnored(HandMuon):
    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        return super().direction(g, group | {"nesterov": False}, state)


@mutant(
    "muon",
    "momentum",
    "the momentum is a sum, not an average, under Nesterov's average",
    "sum|averag|nesterov",
)
class MuonBufferSummed(HandMuon):
    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        mu = group["momentum"]
        buffer = state.setdefault("momentum_buffer", g.new_zeros(g.shape)).mul_(mu).add_(g)
        return g.lerp(buffer, mu) if group["nesterov"] else buffer
