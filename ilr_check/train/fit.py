"""Whether a net, its data, the noise, an update rule and a world fit together."""

from __future__ import annotations

import torch

from ilr_check.data import BatchNoise, NoiseSpec
from ilr_check.data.sets import Dataset
from ilr_check.nets.specs import NetSpec
from ilr_check.nets.transformer_specs import TransformerSpec
from ilr_check.optim.rules import Rule
from ilr_check.train.blackbox import BlackBox
from ilr_check.train.world import World, WorldError


def check_data(net: NetSpec, dataset: Dataset) -> None:
    """Raise ``ValueError`` if the net cannot read the data or has too few outputs for it."""
    inputs = dataset.x.shape[1]
    if net.inputs != inputs or net.classes < dataset.classes:
        raise ValueError(
            f"the net has inputs={net.inputs}, classes={net.classes} and the data "
            f"inputs={inputs}, classes={dataset.classes}; make them equal"
        )
    tokens = not dataset.x.is_floating_point()
    if tokens != isinstance(net, TransformerSpec):
        raise ValueError(
            f"the data are {'tokens' if tokens else 'numbers'}, and the net is "
            f"{'not ' if tokens else ''}a language model; a text needs a TransformerSpec, and a "
            "TransformerSpec needs a text"
        )


def check_world(world: World, rule: Rule | BlackBox) -> None:
    """Raise ``WorldError`` if the world cannot enter the optimizer."""
    if isinstance(rule, BlackBox):
        raise WorldError(
            f"world {world.name!r} cannot enter an optimizer that is judged as a black box; "
            "judge the optimizer without --world"
        )


def check_noise(net: NetSpec, noise: NoiseSpec | None) -> None:
    """Raise ``ValueError`` if the net has no noise of this kind."""
    if isinstance(noise, BatchNoise) and isinstance(net, TransformerSpec):
        raise ValueError(
            f"noise of shape {noise.shape!r} needs the gradient of every example for every label, which a "
            "language model does not have; use another noise, or none"
        )
    if isinstance(noise, BatchNoise) and net.norm.kind == "batch":
        raise ValueError(
            f"noise of shape {noise.shape!r} needs gradients of single examples, and under batch norm these "
            "depend on the batch; use norm kind 'layer', 'group', 'instance' or 'rms'"
        )


def check_dimensions(rule: Rule | BlackBox, shapes: dict[str, torch.Size]) -> None:
    """Raise ``ValueError`` if the rule cannot step a tensor of the net."""
    if isinstance(rule, BlackBox):
        return
    owners = {name: rule.of(name) for name in shapes}
    bad = [
        f"{name} {tuple(shape)}"
        for name, shape in shapes.items()
        if owners[name].dimensions not in (None, len(shape))
    ]
    if bad:
        wrong = next(own for own in owners.values() if own.dimensions is not None)
        raise ValueError(
            f"{wrong.name} steps tensors of {wrong.dimensions} dimensions, and this net has "
            f"{', '.join(bad)}; use a net of linear layers without biases, or a rule with parts"
        )
