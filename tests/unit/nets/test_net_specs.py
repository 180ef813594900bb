"""Specs: round trip, hashing, and errors that name the value and the fix."""

import pytest
from hypothesis import given

from ilr_check.nets import (
    AttentionSpec,
    CNNSpec,
    MLPSpec,
    NetSpec,
    NormSpec,
    ResNetSpec,
    net_from_dict,
    net_from_json,
    to_dict,
    to_json,
)
from ilr_check.strategies import net_specs

EVALUATED = {s.__name__: s for s in (MLPSpec, CNNSpec, ResNetSpec, AttentionSpec, NormSpec)}


@given(net_specs(eps=(0.0, 1e-5)))
def test_spec_survives_json_dict_and_repr(spec: NetSpec) -> None:
    assert net_from_json(to_json(spec)) == spec
    assert net_from_dict(to_dict(spec)) == spec
    assert eval(repr(spec), EVALUATED) == spec
    assert hash(net_from_json(to_json(spec))) == hash(spec)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: NormSpec(kind="group", groups=0), ["groups=0", "[1, 4096]"]),
        (lambda: NormSpec(kind="batch", groups=2), ["groups=2", "'group'"]),
        (lambda: NormSpec(eps=1e-300), ["eps=1e-300", "must be 0"]),
        (lambda: NormSpec(kind="bach"), ["'bach'", "batch, group, layer, instance"]),
        (lambda: MLPSpec(inputs=2, widths=(), classes=2), ["widths=()", "1 to 256"]),
        (lambda: MLPSpec(inputs=2, widths=[3], classes=2), ["widths=[3]", "tuple"]),
        (lambda: MLPSpec(inputs=2, widths=(3, 0), classes=2), ["widths[1]=0", "[1, 4096]"]),
        (lambda: MLPSpec(inputs=2, widths=(3,), classes=True), ["classes=True", "whole number"]),
        (lambda: MLPSpec(inputs=2, widths=(3,), classes=2, head_scale=0), ["head_scale=0"]),
        (
            lambda: MLPSpec(inputs=2, widths=(4, 6), classes=2, norm=NormSpec(kind="group", groups=4)),
            ["groups=4", "width 6"],
        ),
        (
            lambda: MLPSpec(inputs=2, widths=(4,), classes=2, norm=NormSpec(kind="instance")),
            ["instance", "images"],
        ),
        (lambda: CNNSpec(image=(1, 8, 8), channels=(4,), classes=2, kernel=4), ["kernel=4", "try 5"]),
        (lambda: CNNSpec(image=(1, 8, 8), channels=(4, 4), classes=2, strides=(2,)), ["strides=(2,)", "(2)"]),
        (lambda: ResNetSpec(shape=(2, 3), width=4, blocks=1, classes=2), ["shape=(2, 3)", "height"]),
        (lambda: ResNetSpec(shape=(2,), width=4, blocks=1, classes=2, residual="mid"), ["'mid'", "pre"]),
    ],
)
def test_bad_values_are_refused_with_value_and_mend(make, words) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        make()
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"kind":"mlp","inputs":2,"widths":[4],"classes":2,"depth":3}', "depth"),
        ('{"kind":"mlp","inputs":2,"widths":[-4],"classes":2}', "widths[0]=-4"),
        ('{"kind":"rnn"}', "rnn"),
        ("{", "truncated"),
    ],
)
def test_bad_json_is_refused_with_the_field(text: str, word: str) -> None:
    with pytest.raises(ValueError, match="not a net spec") as caught:
        net_from_json(text)
    assert word in str(caught.value)
