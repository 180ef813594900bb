"""Generated examples of the exact claims: strategies that combine a net, data and hyper-parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ilr_check.data import TeacherStudentSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.train.loop import Setting

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def settings(*, momentum: bool, max_steps: int = 20, **nets: Any) -> SearchStrategy[Setting]:
    """Return settings on teacher-student data; plain SGD unless ``momentum``; ``nets`` restricts the nets."""
    import hypothesis.strategies as st

    from ilr_check.strategies import hyper_params, net_specs, schedules

    @st.composite
    def build_setting(draw: Any) -> Setting:
        net: NetSpec = draw(net_specs(**nets))
        return Setting(
            net=net,
            data=TeacherStudentSpec(
                inputs=net.inputs, classes=net.classes, label_noise=draw(st.sampled_from((0.0, 0.5)))
            ),
            hyper=draw(hyper_params(momentum=momentum, max_steps=max_steps)),
            lr_schedule=draw(schedules()),
            decay_schedule=draw(schedules()),
            dtype=draw(st.sampled_from(("float64", "float32"))),
        )

    return build_setting()


def events_of(setting: Setting) -> tuple[str, ...]:
    """Return labels of what an example covers, for the record."""
    from ilr_check.nets import degenerate, depth, net_groups

    intrinsic = setting.hyper.intrinsic_lr
    size = "0" if intrinsic == 0 else "up to 1" if intrinsic <= 1 else "above 1"
    deep = depth(setting.net)
    corner = degenerate(setting.net, setting.hyper.batch_size)
    return (
        f"net: {type(setting.net).__name__.removesuffix('Spec')}",
        f"norm: {setting.net.norm.kind}",
        f"depth: {'1' if deep == 1 else '2 to 5' if deep <= 5 else '6 to 20' if deep <= 20 else 'above 20'}",
        *(
            ["gains trained"]
            if any(".gain" in name for group in net_groups(setting.net) for name in group.names)
            else []
        ),
        *(["shared weights"] if setting.net.shared else []),
        f"lambda_e: {size}",
        f"dtype: {setting.dtype}",
        *([f"degenerate: {corner}"] if corner else []),
    )
