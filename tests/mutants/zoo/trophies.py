"""What the gate finds in the installed torch: each defect with a witness in plain torch.

A witness is 0.0 where torch does the right thing. ``docs/trophy-case.md`` has a section for each, and
``tests/mutants/test_torch_sweep.py`` keeps the page, the witnesses and the gate in agreement.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler


@dataclass(frozen=True)
class Trophy:
    """One defect of torch: the class, the laws that may speak of it, and what was seen by hand."""

    name: str
    optimizers: tuple[str, ...]
    laws: tuple[str, ...]
    """The laws of which at least one finds it; empty where the gate does not see it yet."""
    sentence: str
    witness: Callable[[], float]
    args: Mapping[str, Any] = field(default_factory=dict)
    """Arguments without which the gate does not see it."""


def _parameter(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 5) -> nn.Parameter:
    drawn = torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return nn.Parameter((drawn + 0.5).to(dtype))


def _gradient(p: Tensor, seed: int = 1) -> None:
    drawn = torch.randn(p.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    p.grad = drawn.to(p.dtype)


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a.detach().double() - b.detach().double()).abs().max())


def _raises(call: Callable[[], object]) -> float:
    try:
        call()
    except Exception:
        return 1.0
    return 0.0


def tensor_lr_is_shared() -> float:
    """Two groups with schedules of their own end with one lr, because both hold the same tensor."""
    a, b = _parameter(2), _parameter(2)
    optimizer = torch.optim.Adam([{"params": [a]}, {"params": [b]}], lr=torch.tensor(0.1))
    lr_scheduler.LambdaLR(optimizer, [lambda t: 1.0, lambda t: 0.5])
    return abs(float(optimizer.param_groups[0]["lr"]) - 0.1)


def adafactor_leaks_eps() -> float:
    """With foreach the eps1 of the first dtype is used for the tensors of the other dtypes."""
    ends = []
    for foreach in (False, True):
        a, b = _parameter(2, 3, dtype=torch.float32), _parameter(2, 3)
        optimizer = torch.optim.Adafactor([a, b], lr=0.1, foreach=foreach)
        for p in (a, b):
            p.grad = torch.full_like(p, 1e-8)
        optimizer.step()
        ends.append(b)
    return _apart(*ends)


def adafactor_divides_by_no_entries() -> float:
    """An empty tensor raises."""
    p = _parameter(0)
    _gradient(p)
    return _raises(torch.optim.Adafactor([p]).step)


def adagrad_ignores_group() -> float:
    """A group's own initial_accumulator_value gives way to the constructor's."""
    p, q = _parameter(2), _parameter(2)
    grouped = torch.optim.Adagrad([{"params": [p], "initial_accumulator_value": 1.0}], lr=0.1)
    alone = torch.optim.Adagrad([q], lr=0.1, initial_accumulator_value=1.0)
    _gradient(p), _gradient(q)
    grouped.step(), alone.step()
    return _apart(p, q)


def lbfgs_copies_fail() -> float:
    """A deepcopy has no _params and cannot step."""
    p = _parameter(2)
    optimizer = torch.optim.LBFGS([p])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    return _raises(lambda: copy.deepcopy(optimizer).step(closure))


def lbfgs_refuses_transposed() -> float:
    """A gradient that is laid out by columns raises."""
    p = _parameter(3, 2)

    def closure() -> float:
        p.grad = torch.ones(2, 3, dtype=p.dtype).T
        return 0.0

    return _raises(lambda: torch.optim.LBFGS([p]).step(closure))


def asgd_keeps_default_dtype() -> float:
    """eta is rounded to torch's default dtype, whatever the weights are."""
    kept = []
    for dtype in (torch.float32, torch.bfloat16):
        torch.set_default_dtype(dtype)
        try:
            p = _parameter(2)
            optimizer = torch.optim.ASGD([p], lr=0.1)
            _gradient(p)
            optimizer.step()
            kept.append(optimizer.state[p]["eta"])
        finally:
            torch.set_default_dtype(torch.float32)
    return _apart(*kept)


def nadam_narrows_product() -> float:
    """mu_product, a float32 scalar, is cast to the dtype of bfloat16 weights by load_state_dict."""
    p = _parameter(4, dtype=torch.bfloat16)
    optimizer = torch.optim.NAdam([p], lr=0.1)
    for seed in range(3):
        _gradient(p, seed)
        optimizer.step()
    q = nn.Parameter(p.detach().clone())
    resumed = torch.optim.NAdam([q], lr=0.1)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    kept, loaded = optimizer.state[p]["mu_product"], resumed.state[q]["mu_product"]
    return _apart(kept, loaded)


def asgd_narrows_eta() -> float:
    """eta, a float32 scalar, is cast to the dtype of bfloat16 weights by load_state_dict."""
    p = _parameter(4, dtype=torch.bfloat16)
    optimizer = torch.optim.ASGD([p], lr=0.1)
    _gradient(p)
    optimizer.step()
    resumed = torch.optim.ASGD([nn.Parameter(p.detach().clone())], lr=0.1)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    (loaded,) = resumed.state.values()
    return _apart(optimizer.state[p]["eta"], loaded["eta"])


def asgd_steps_with_the_last_lr() -> float:
    """The lr that a step uses was computed at the end of the step before it."""
    p = _parameter(2)
    optimizer = torch.optim.ASGD([p], lr=0.1, lambd=0.0)
    for rate in (0.1, 0.0):
        optimizer.param_groups[0]["lr"] = rate
        before = p.detach().clone()
        _gradient(p)
        optimizer.step()
    return _apart(p, before)


def fused_ignores_strides(name: str) -> float:
    """The fused kernel on a CPU pairs weights and gradients by memory, whatever their strides."""
    ends = []
    for fused in (False, True):
        p = _parameter(3, 2)
        _gradient(p)
        assert p.grad is not None
        p.grad = p.grad.T.contiguous().T
        getattr(torch.optim, name)([p], lr=0.1, fused=fused).step()
        ends.append(p)
    return _apart(*ends)


def fused_sgd_wants_all_buffers() -> float:
    """A first gradient that comes after the others' raises or moves wrongly with fused and momentum."""
    a, b = _parameter(2), _parameter(2)
    optimizer = torch.optim.SGD([a, b], lr=0.1, momentum=0.9, fused=True)
    _gradient(a)
    optimizer.step()
    _gradient(a), _gradient(b)
    return _raises(optimizer.step)


def adafactor_is_not_a_number_at_zero() -> float:
    """With the paper's eps1 of 1e-30 a zero gradient in float32 gives weights that are not numbers."""
    p = _parameter(2, 2, dtype=torch.float32)
    optimizer = torch.optim.Adafactor([p], eps=(1e-30, 1e-3))
    p.grad = torch.zeros_like(p)
    optimizer.step()
    return float(p.detach().isnan().any())


def lbfgs_remembers_its_lr_tensor() -> float:
    """The length of the last step is kept as the lr tensor itself, so a schedule changes the past."""
    ends = []
    for lr in (0.25, torch.tensor(0.25, dtype=torch.float64)):
        p = _parameter(3)
        optimizer = torch.optim.LBFGS([p], lr=lr, max_iter=1)
        for rate in (0.25, 0.25, 0.5, 0.5):
            if isinstance(lr, Tensor):
                lr.fill_(rate)  # as torch's schedulers do
            optimizer.param_groups[0]["lr"] = lr if isinstance(lr, Tensor) else rate

            def closure(p: nn.Parameter = p, optimizer: Any = optimizer) -> Tensor:
                optimizer.zero_grad()
                loss = (p**4).sum()
                loss.backward()
                return loss

            optimizer.step(closure)
        ends.append(p)
    return _apart(*ends)


def muon_normalises_its_buffer() -> float:
    """Without Nesterov and with bfloat16 weights the momentum buffer itself is divided by its norm."""
    p = _parameter(3, 4, dtype=torch.bfloat16)
    optimizer = torch.optim.Muon([p], nesterov=False, momentum=0.5)
    p.grad = torch.full_like(p, 4.0)
    optimizer.step()
    return _apart(optimizer.state[p]["momentum_buffer"], torch.full_like(p, 2.0))


TROPHIES = (
    Trophy(
        "a tensor lr is shared between groups",
        (
            "Adam",
            "AdamW",
            "NAdam",
            "RAdam",
            "Adamax",
            "RMSprop",
            "Adagrad",
            "Adadelta",
            "Adafactor",
            "ASGD",
            "Rprop",
            "SGD",
            "SparseAdam",
            "Muon",
        ),
        ("tensor-lr",),
        "both groups hold the tensor of the constructor, so that the schedule of one sets the lr of all",
        tensor_lr_is_shared,
    ),
    Trophy(
        "Adafactor's eps1 leaks between dtypes",
        ("Adafactor",),
        ("mixed-dtypes", "switches", "alone"),
        "the foreach path uses the eps1 of the first dtype for all",
        adafactor_leaks_eps,
    ),
    Trophy(
        "Adafactor raises for an empty tensor",
        ("Adafactor",),
        ("tensor-shapes", "alone"),
        "it divides by the number of entries",
        adafactor_divides_by_no_entries,
    ),
    Trophy(
        "Adagrad ignores a group's initial_accumulator_value",
        ("Adagrad",),
        ("alone",),
        "the constructor fills the sums with its own value",
        adagrad_ignores_group,
    ),
    Trophy(
        "a copy of LBFGS cannot step",
        ("LBFGS",),
        ("copies",),
        "Optimizer.__getstate__ drops _params",
        lbfgs_copies_fail,
    ),
    Trophy(
        "NAdam's product of momenta is narrowed on load",
        ("NAdam",),
        ("narrow-resume",),
        "load_state_dict casts mu_product to the dtype of bfloat16 weights",
        nadam_narrows_product,
    ),
    Trophy(
        "ASGD's eta and mu are narrowed on load",
        ("ASGD",),
        ("narrow-resume",),
        "load_state_dict casts both to the dtype of bfloat16 weights",
        asgd_narrows_eta,
    ),
    Trophy(
        "LBFGS refuses a transposed gradient",
        ("LBFGS",),
        ("layouts",),
        "it calls view on gradients, where reshape would do",
        lbfgs_refuses_transposed,
    ),
    Trophy(
        "ASGD rounds eta to the default dtype",
        ("ASGD",),
        ("default-dtype",),
        "eta and mu are made in torch's default dtype",
        asgd_keeps_default_dtype,
    ),
    Trophy(
        "ASGD steps with the lr of the step before",
        ("ASGD",),
        (),
        "eta is computed at the end of a step, so that a changed lr acts one step late",
        asgd_steps_with_the_last_lr,
    ),
    Trophy(
        "fused kernels ignore strides",
        ("SGD", "Adam", "AdamW", "Adagrad"),
        ("tensor-shapes", "layouts"),
        "weights and gradients are paired by memory, so that a transposed gradient moves other entries",
        lambda: min(fused_ignores_strides(name) for name in ("SGD", "Adam", "AdamW", "Adagrad")),
        args={"fused": True},
    ),
    Trophy(
        "SGD(fused, momentum) raises for a late first gradient",
        ("SGD",),
        ("switches", "missing-gradient"),
        "the fused kernel wants all momentum buffers or none",
        fused_sgd_wants_all_buffers,
        args={"momentum": 0.9},
    ),
    Trophy(
        "Adafactor with the paper's eps1 is NaN at a zero gradient",
        ("Adafactor",),
        ("zero-gradient", "low-precision", "mixed-dtypes"),
        "eps1 is squared, and 1e-60 is zero in float32",
        adafactor_is_not_a_number_at_zero,
        args={"eps": (1e-30, 1e-2)},
    ),
    Trophy(
        "LBFGS remembers its lr tensor as the length of its last step",
        ("LBFGS",),
        ("tensor-lr",),
        "state['t'] is the tensor, so that a schedule changes what the next pair of vectors is made of",
        lbfgs_remembers_its_lr_tensor,
    ),
    Trophy(
        "Muon(nesterov=False) normalises its buffer in bfloat16 weights",
        ("Muon",),
        ("low-precision", "mixed-dtypes"),
        "its iteration divides the buffer in place, because .bfloat16() of a bfloat16 tensor is no copy",
        muon_normalises_its_buffer,
        args={"nesterov": False},
    ),
)
