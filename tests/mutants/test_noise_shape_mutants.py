"""The claim that noise need not be Gaussian refutes noise whose trace is not the promised one."""

from dataclasses import dataclass, replace

import msgspec
import pytest

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.mean_field import not_gaussian
from ilr_check.data import BatchNoise, NoiseSpec
from ilr_check.train.world import world_of

pytestmark = pytest.mark.on_push(
    "test_equal_trace_holds_and_excludes_the_doubled_one",
)

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)


@dataclass
class OtherTrace:
    """The noises that replace that of minibatches have ``trace`` times its trace."""

    trace: float

    def noise(self, spec: NoiseSpec | None) -> NoiseSpec | None:
        return msgspec.structs.replace(spec, trace=self.trace) if isinstance(spec, BatchNoise) else spec


def judged(trace: float) -> Finding:
    """Return the quick subject with one layer and one interim analysis."""
    (shapes,) = not_gaussian.experiments("quick", 0)
    net = msgspec.structs.replace(shapes.net, widths=(24,))
    cheap = msgspec.structs.replace(shapes, net=net, looks=(128,))
    context = replace(CONTEXT, world=world_of(OtherTrace(trace)))
    (finding,) = not_gaussian.CLAIM.judge(msgspec.to_builtins(cheap), context).findings
    return finding


@pytest.mark.parametrize("trace", [0.5, 2.0])
def test_another_trace_is_refuted(trace: float) -> None:
    assert judged(trace).verdict == "violated"


def test_equal_trace_holds_and_excludes_the_doubled_one() -> None:
    finding = judged(1.0)
    assert finding.verdict == "holds"
    assert all(rival.excluded for rival in finding.rivals)
