"""The same training in JAX, ``jit(scan(vmap(value_and_grad)))``. Nothing else needs JAX."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from ilr_check.bench.minimum import flops
from ilr_check.bench.path import Unavailable
from ilr_check.bench.workloads import DATA, Net, Workload
from ilr_check.data.sets import load
from ilr_check.nets.build import build, initial_parameters
from ilr_check.nets.specs import CNNSpec, MLPSpec

CALL_FLOPS = 6e9
"""The size of one call of the program. The overhead of a call is negligible, and a call does not take too
long."""
SHORTEST_SCAN, LONGEST_SCAN = 2, 64


class JaxPath:
    """All timed runs in one program, as a user would write it, with a plain ``(h - mean) / sqrt(var +
    eps)``."""

    def __init__(self, workload: Workload) -> None:
        if find_spec("jax") is None:
            raise Unavailable("jax is not installed; pip install 'ilr-check[jax]' adds the comparison")
        import jax

        try:
            jax.devices()
        except RuntimeError as error:
            raise Unavailable(f"jax finds no device: {error}") from error
        self.workload = workload
        data = load(DATA, dtype=torch.float32)
        self.x, self.y = jax.numpy.asarray(data.x.numpy()), jax.numpy.asarray(data.y.numpy())
        head = build(workload.net, dtype=torch.float32).get_buffer("head")
        self._train = jax.jit(_program(workload, np.asarray(head)), static_argnames="steps")
        self._state: dict[int, tuple[Any, Any]] = {}

    def timed(self, runs: int) -> int:
        return min(runs, max(16, int(CALL_FLOPS / (SHORTEST_SCAN * flops(self.workload)))))

    def compile(self, runs: int) -> float:
        first = self._call(self.timed(runs))
        return max(0.0, first - self._call(self.timed(runs)))

    def train(self, runs: int, steps: int) -> None:
        for _ in range(0, steps, self._scan_length(self.timed(runs))):
            self._call(self.timed(runs))

    def sample(self, runs: int, steps: int, seconds: float) -> float:
        spent, done, runs = 0.0, 0, self.timed(runs)
        while done == 0 or (done < steps and spent < seconds):
            spent += self._call(runs)
            done += self._scan_length(runs)
        return 1e6 * spent / (done * runs)

    def _call(self, runs: int) -> float:
        import jax

        if runs not in self._state:
            drawn = [initial_parameters(self.workload.net, s, dtype=torch.float32) for s in range(runs)]
            weights = {
                name: jax.numpy.asarray(torch.stack([d[name] for d in drawn]).numpy()) for name in drawn[0]
            }
            self._state[runs] = weights, jax.random.split(jax.random.key(0), runs)
        weights, keys = self._state[runs]
        begin = time.perf_counter()
        self._state[runs] = self._train(weights, keys, self.x, self.y, steps=self._scan_length(runs))
        jax.block_until_ready(self._state[runs])
        return time.perf_counter() - begin

    def _scan_length(self, runs: int) -> int:
        return max(SHORTEST_SCAN, min(LONGEST_SCAN, int(CALL_FLOPS / (runs * flops(self.workload)))))


def _program(workload: Workload, head: Any) -> Callable[..., Any]:
    import jax
    from jax import numpy as jnp

    net = forward(workload.net, head)
    lr, decay = workload.lr, workload.weight_decay

    def loss(weights: Any, x: Any, y: Any) -> Any:
        scores = jax.nn.log_softmax(net(weights, x))
        return -jnp.mean(jnp.take_along_axis(scores, y[:, None], axis=1))

    def step(weights: Any, key: Any, x: Any, y: Any) -> Any:
        rows = jax.random.randint(key, (workload.batch_size,), 0, len(x))
        _, gradient = jax.value_and_grad(loss)(weights, x[rows], y[rows])
        return jax.tree.map(lambda w, g: w - lr * (g + decay * w), weights, gradient)

    def train(weights: Any, keys: Any, x: Any, y: Any, steps: int) -> Any:
        def one(carry: Any, _: None) -> Any:
            weights, keys = carry
            pairs = jax.vmap(jax.random.split)(keys)
            weights = jax.vmap(step, in_axes=(0, 0, None, None))(weights, pairs[:, 1], x, y)
            return (weights, pairs[:, 0]), None

        return jax.lax.scan(one, (weights, keys), length=steps)[0]

    return train


def forward(net: Net, head: Any) -> Callable[[Any, Any], Any]:
    """Return the net of a spec as a JAX function (weights by torch's parameter names, rows) -> logits."""
    import jax
    from jax import numpy as jnp

    def layer(weights: Any, name: str, h: Any, stride: int = 1) -> Any:
        w = weights[f"{name}.weight"]
        if w.ndim == 2:
            return h @ w.T
        pad = w.shape[-1] // 2
        return jax.lax.conv_general_dilated(h, w, (stride, stride), [(pad, pad)] * 2)

    def norm(h: Any) -> Any:
        axes = (0, *range(2, h.ndim))
        mean = h.mean(axes, keepdims=True)
        centred = h - mean
        return centred / jnp.sqrt(jnp.square(centred).mean(axes, keepdims=True) + 1e-5)

    def plain(weights: Any, h: Any) -> Any:
        assert isinstance(net, MLPSpec | CNNSpec)
        count = len(net.widths if isinstance(net, MLPSpec) else net.channels)
        strides = net.strides if isinstance(net, CNNSpec) and net.strides else (1,) * count
        for i, stride in enumerate(strides):
            h = jax.nn.relu(norm(layer(weights, f"layers.{i}", h, stride)))
        return h

    def residual(weights: Any, h: Any) -> Any:
        assert not isinstance(net, MLPSpec | CNNSpec)
        h = layer(weights, "stem", h)
        if net.residual == "post":
            h = jax.nn.relu(norm(h))
        for i in range(net.blocks):
            if net.residual == "pre":
                inner = layer(weights, f"inner.{i}", jax.nn.relu(norm(h)))
                h = h + layer(weights, f"outer.{i}", jax.nn.relu(norm(inner)))
            else:
                inner = layer(weights, f"inner.{i}", h)
                h = jax.nn.relu(h + norm(layer(weights, f"outer.{i}", jax.nn.relu(norm(inner)))))
        return jax.nn.relu(norm(h)) if net.residual == "pre" else h

    shape = (
        (net.inputs,) if isinstance(net, MLPSpec) else net.image if isinstance(net, CNNSpec) else net.shape
    )
    body = plain if isinstance(net, MLPSpec | CNNSpec) else residual

    def logits(weights: Any, x: Any) -> Any:
        h = body(weights, x.reshape(len(x), *shape))
        return h.reshape(len(x), -1) @ head.T

    return logits
