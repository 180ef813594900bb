"""Optimizers of released packages, each with the contract that its own documentation claims.

A package's documented variations are declared, or given as arguments; what is not documented is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Target:
    """``module:Class`` of a package on the index, and what it says that it is."""

    package: str
    path: str
    contract: str
    args: Mapping[str, Any] = field(default_factory=dict)
    declare: Mapping[str, Any] = field(default_factory=dict)


KOZISTR, JETTIFY, OPTIMI, TORCHIUM = "pytorch_optimizer", "torch_optimizer", "torch-optimi", "torchium"
QHM = {"momentum_form": "ema", "buffer_start": "zero"}
TARGETS: tuple[Target, ...] = (
    Target(KOZISTR, "pytorch_optimizer:SGDW", "sgdw"),
    Target(KOZISTR, "pytorch_optimizer:AdaMax", "adamax"),
    Target(KOZISTR, "pytorch_optimizer:RAdam", "radam", args={"weight_decouple": False}),
    Target(KOZISTR, "pytorch_optimizer:RAdam", "radam", declare={"first_phase": "none"}),
    Target(KOZISTR, "pytorch_optimizer:AdaDelta", "adadelta"),
    Target(KOZISTR, "pytorch_optimizer:AdaFactor", "adafactor"),
    Target(KOZISTR, "pytorch_optimizer:Lion", "lion"),
    Target(KOZISTR, "pytorch_optimizer:SignSGD", "signsgd"),
    Target(KOZISTR, "pytorch_optimizer:Lamb", "lamb", args={"max_grad_norm": 0.0}),
    Target(KOZISTR, "pytorch_optimizer:LARS", "lars"),
    Target(KOZISTR, "pytorch_optimizer:AdamP", "adamp"),
    Target(KOZISTR, "pytorch_optimizer:Muon", "muon"),
    Target(KOZISTR, "pytorch_optimizer:AdamC", "adamw"),
    Target(KOZISTR, "pytorch_optimizer:Tiger", "signsgd"),
    Target(KOZISTR, "pytorch_optimizer:Adan", "adan"),
    Target(KOZISTR, "pytorch_optimizer:AdEMAMix", "ademamix"),
    Target(KOZISTR, "pytorch_optimizer:ADOPT", "adopt"),
    Target(KOZISTR, "pytorch_optimizer:MADGRAD", "madgrad"),
    Target(KOZISTR, "pytorch_optimizer:Grams", "grams"),
    Target(KOZISTR, "pytorch_optimizer:Lion", "clion", args={"cautious": True}),
    Target(KOZISTR, "pytorch_optimizer:AdaBelief", "adabelief"),
    Target(KOZISTR, "pytorch_optimizer:Yogi", "yogi"),
    Target(KOZISTR, "pytorch_optimizer:DiffGrad", "diffgrad"),
    Target(KOZISTR, "pytorch_optimizer:StableAdamW", "stableadamw"),
    Target(KOZISTR, "pytorch_optimizer:LaProp", "laprop"),
    Target(KOZISTR, "pytorch_optimizer:NovoGrad", "novograd"),
    Target(KOZISTR, "pytorch_optimizer:PID", "pid"),
    Target(JETTIFY, "torch_optimizer:SGDW", "sgdw"),
    Target(JETTIFY, "torch_optimizer:RAdam", "radam"),
    Target(JETTIFY, "torch_optimizer:Lamb", "lamb", args={"debias": True}),
    Target(JETTIFY, "torch_optimizer:LARS", "lars"),
    Target(JETTIFY, "torch_optimizer:AdamP", "adamp"),
    Target(JETTIFY, "torch_optimizer:QHM", "sgd", args={"nu": 1.0}, declare=QHM),
    Target(JETTIFY, "torch_optimizer:QHAdam", "adam"),
    Target(JETTIFY, "torch_optimizer:Adafactor", "adafactor"),
    Target("lion-pytorch", "lion_pytorch:Lion", "lion"),
    Target("adamp", "adamp:AdamP", "adamp"),
    Target("open-lars", "open_lars:LARS", "lars"),
    Target("muon-optimizer", "muon:SingleDeviceMuon", "muon"),
    Target("optimuon", "optimuon:Muon", "muon", args={"normuon": False, "cautious_wd": False}),
    Target(OPTIMI, "optimi:SGD", "sgd", args={"foreach": False}),
    Target(OPTIMI, "optimi:Adam", "adam"),
    Target(OPTIMI, "optimi:AdamW", "adamw"),
    Target(OPTIMI, "optimi:Lion", "lion"),
    Target(OPTIMI, "optimi:RAdam", "radam"),
    Target("grokadamw", "grokadamw:GrokAdamW", "adamw"),
    Target(TORCHIUM, "torchium:SGD", "sgd"),
    Target(TORCHIUM, "torchium:NesterovSGD", "sgd"),
    Target(TORCHIUM, "torchium:Adam", "adam"),
    Target(TORCHIUM, "torchium:AdamW", "adamw"),
    Target(TORCHIUM, "torchium:RAdam", "radam"),
    Target("schedulefree", "schedulefree:SGDScheduleFree", "auto"),
    Target("schedulefree", "schedulefree:AdamWScheduleFree", "auto"),
    Target("adan-pytorch", "adan_pytorch:Adan", "adan", declare={"betas_are": "shares of the new gradient"}),
    Target("prodigyopt", "prodigyopt:Prodigy", "auto"),
    Target("dadaptation", "dadaptation:DAdaptSGD", "auto"),
    Target("dadaptation", "dadaptation:DAdaptAdam", "auto"),
    Target("sgd-sai", "sgd_sai:SGD_sai", "auto"),
    Target("came-pytorch", "came_pytorch:CAME", "auto"),
    Target("torch-sm3", "SM3:SM3", "auto"),
    Target("dog-optimizer", "dog:DoG", "auto"),
)
