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
from ilr_check.nets.transformer_specs import FAMILIES, TransformerSpec
from ilr_check.nets.transformers import (
    hidden_matrices,
    invariant_matrices,
    mean_loss,
    own_norms,
    stream_writers,
)

__all__ = [
    "FAMILIES",
    "AttentionSpec",
    "CNNSpec",
    "Group",
    "MLPSpec",
    "NetSpec",
    "Norm",
    "NormSpec",
    "PreResNetSpec",
    "ResNetSpec",
    "TransformerSpec",
    "build",
    "count_parameters",
    "degenerate",
    "depth",
    "evaluation_bound",
    "gradient_orthogonality_bound",
    "hidden_matrices",
    "initial_parameters",
    "inner_product",
    "invariant_groups",
    "invariant_matrices",
    "mean_loss",
    "net_from_dict",
    "net_from_json",
    "net_groups",
    "normalise",
    "orthogonality_bounds",
    "orthogonality_scale",
    "own_norms",
    "parameter_shapes",
    "scalable",
    "set_sizes",
    "stream_writers",
    "to_dict",
    "to_json",
]
