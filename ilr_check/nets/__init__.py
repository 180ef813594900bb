"""Scale-invariant nets: specs, modules, their invariant groups, and how well conditioned they are."""

from ilr_check.nets.build import build, count_parameters, initial_parameters, parameter_shapes
from ilr_check.nets.groups import Group, invariant_groups, net_groups
from ilr_check.nets.norms import Norm, normalise
from ilr_check.nets.specs import (
    CNNSpec,
    MLPSpec,
    NetSpec,
    NormSpec,
    ResNetSpec,
    depth,
    net_from_dict,
    net_from_json,
    to_dict,
    to_json,
)

__all__ = [
    "CNNSpec",
    "Group",
    "MLPSpec",
    "NetSpec",
    "Norm",
    "NormSpec",
    "ResNetSpec",
    "build",
    "count_parameters",
    "depth",
    "initial_parameters",
    "invariant_groups",
    "net_from_dict",
    "net_from_json",
    "net_groups",
    "normalise",
    "parameter_shapes",
    "to_dict",
    "to_json",
]
