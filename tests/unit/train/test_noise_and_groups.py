"""Tangent noise has the length it promises, and groups of tensors turn as their joint vector does."""

import numpy as np
import pytest
import torch
from fleet_steps import eager_fleet, watched

from ilr_check.data import TangentNoise, TeacherStudentSpec
from ilr_check.nets.specs import CNNSpec, MLPSpec, NetSpec, NormSpec, ResNetSpec
from ilr_check.train.fleet import Runs
from ilr_check.train.noise import tangent

NETS: dict[str, NetSpec] = {
    "mlp": MLPSpec(inputs=6, widths=(8, 5), classes=3),
    "cnn": CNNSpec(image=(1, 4, 4), channels=(3, 4), classes=3),
    "joint": ResNetSpec(shape=(6,), width=8, blocks=2, classes=3, norm=NormSpec(kind="layer")),
}


def data_for(net: NetSpec) -> TeacherStudentSpec:
    return TeacherStudentSpec(inputs=net.inputs, classes=3, examples=64, label_noise=0.5)


@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 4, 2, 3, 3), (5, 6)], ids=["matrix", "kernel", "vector"])
def test_noise_is_tangent_and_of_length_size_over_norm(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(2)
    w, noise = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    found = tangent(w, noise, 0.3)
    radius, length = (v.flatten(1).norm(dim=1) for v in (w, found))
    cosine = (w * found).flatten(1).sum(dim=1) / (radius * length)
    assert float(cosine.abs().max()) < 1e-14
    assert (length * radius).tolist() == pytest.approx([0.3] * 5, rel=1e-13)


def test_noise_is_isotropic_in_the_tangent_space() -> None:
    generator = torch.Generator().manual_seed(2)
    w = torch.zeros(20_000, 4, dtype=torch.float64)
    w[:, 0] = 2.0
    found = tangent(w, torch.randn(w.shape, generator=generator, dtype=torch.float64), 1.0)
    covariance = (found.T @ found / len(found)).numpy()
    # Trace (1/2)^2 on three directions; six standard errors of a mean of 20000 products.
    assert covariance == pytest.approx(np.diag([0.0, 1, 1, 1]) / 12, abs=6 * 0.25 / 3 / 20_000**0.5)


def test_a_fleet_adds_the_noise_to_the_gradient_of_every_tensor() -> None:
    net = NETS["mlp"]
    plain, noisy = (eager_fleet(net, data_for(net), noise=n) for n in (None, TangentNoise(size=50.0)))
    runs = Runs(seeds=[1, 2], lr=1e-3, weight_decay=0.01)
    first, other = (f.train(runs, 1) for f in (plain, noisy))
    # The gradient is orthogonal to the weights and so is the noise; their inner product is the only cross
    # term, at most 2 |g| |n|.
    added = other.grad2 * other.norm2 - 50.0**2
    gradient = np.sqrt(first.grad2 * first.norm2)
    assert (np.abs(added - gradient**2) <= 2 * 50.0 * gradient * (1 + 1e-9)).all()
    assert np.abs(other.radial).max() < 1e-12


@pytest.mark.parametrize("name", NETS)
def test_a_groups_trace_is_that_of_its_joint_vector(name: str) -> None:
    net = NETS[name]
    fleet = eager_fleet(net, data_for(net))
    steps = 12
    seen, trace = watched(fleet, Runs(seeds=[1, 2, 3], lr=0.3, weight_decay=0.1), steps)
    before, after = (
        np.stack([np.concatenate([part[n][:3].flatten(1) for n in trace.names], axis=1) for part in parts])
        for parts in ([s.weights for s in seen], [s.after for s in seen])
    )
    joint = trace.group(trace.names)
    dot = (before * after).sum(axis=-1)
    turned = after - before * (dot / (before**2).sum(axis=-1))[..., None]
    tangent = np.sqrt((turned**2).sum(axis=-1) * (before**2).sum(axis=-1)) / dot
    assert joint.norm2 == pytest.approx((before**2).sum(axis=-1), rel=1e-13)
    assert joint.next_norm2 == pytest.approx((after**2).sum(axis=-1), rel=1e-13)
    assert joint.tangent == pytest.approx(tangent, rel=1e-9)
    assert joint.effective_lr == pytest.approx(0.3 / (before**2).sum(axis=-1), rel=1e-13)


def test_a_group_of_one_is_its_tensor_alone() -> None:
    net = NETS["mlp"]
    trace = eager_fleet(net, data_for(net)).train(Runs(seeds=[1], lr=0.3, weight_decay=0.1), 4)
    group = trace.group((trace.names[1],))
    assert np.array_equal(group.turned2, trace.turned2[..., 1])
    assert np.array_equal(group.unit_grad2, trace.grad2[..., 1] * trace.norm2[..., 1])


def test_a_small_rotation_keeps_its_digits() -> None:
    # 1 - cos^2 of an angle of 1e-9 is 0 in float64; the recorded orthogonal part is not.
    net = NETS["mlp"]
    trace = eager_fleet(net, data_for(net)).train(Runs(seeds=[1], lr=1e-9, weight_decay=0.0), 2)
    group = trace.group((trace.names[0],))
    expected = 1e-9 * np.sqrt(group.grad2 / group.norm2)
    assert group.tangent == pytest.approx(expected, rel=1e-5)
