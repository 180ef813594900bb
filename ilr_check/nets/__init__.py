"""Scale-invariant nets: their specs, modules, invariant groups and conditioning."""

from ilr_check.nets.build import build, count_parameters, initial_parameters, parameter_shapes
from ilr_check.nets.conditioning import (
    gradient_orthogonality_bound,
    inner_product,
    orthogonality_bounds,
    orthogonality_scale,
)
from ilr_check.nets.corners import degenerate, set_sizes
from ilr_check.nets.evaluation import evaluation_bound
from ilr_check.nets.groups import Group, invariant_groups, net_groups, scalable
from ilr_check.nets.norms import Norm, normalise
from ilr_check.nets.specs import (
    AttentionSpec,
    CNNSpec,
    MLPSpec,
    NetSpec,
    NormSpec,
    PreResNetSpec,
    ResNetSpec,
    depth,
    net_from_dict,
    net_from_json,
    to_dict,
    to_json,
)

__all__ = [
    "AttentionSpec",
    "CNNSpec",
    "Group",
    "MLPSpec",
    "NetSpec",
    "Norm",
    "NormSpec",
    "PreResNetSpec",
    "ResNetSpec",
    "build",
    "count_parameters",
    "degenerate",
    "depth",
    "evaluation_bound",
    "gradient_orthogonality_bound",
    "initial_parameters",
    "inner_product",
    "invariant_groups",
    "net_from_dict",
    "net_from_json",
    "net_groups",
    "normalise",
    "orthogonality_bounds",
    "orthogonality_scale",
    "parameter_shapes",
    "scalable",
    "set_sizes",
    "to_dict",
    "to_json",
]
