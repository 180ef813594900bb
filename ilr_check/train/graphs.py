"""A step as one CUDA graph. It is captured once and then replayed without Python between its kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

WARM_UP = 3
"""Steps before the capture, so that the compiler and cuBLAS have done their one-time work."""


class Captured:
    """A program whose first arguments keep their storage. The others are copied to where the graph reads
    them.

    ``program(*storage, *moving)`` writes into ``storage`` and returns tensors, which the next replay
    overwrites. It must not wait for the host.
    """

    def __init__(self, program: Callable[..., Any], storage: tuple[Any, ...]) -> None:
        self._program, self._storage = program, storage
        self._calls = 0
        self._graph: Any = None
        self._inputs: list[Any] = []
        self._output: Any = None

    def __call__(self, *moving: Any) -> Any:
        self._calls += 1
        leaves, spec = tree_flatten(moving)
        if not self._inputs:
            # They are cloned before the first step, because a clone may have other strides, for which a
            # compiled step compiles again.
            self._inputs = [leaf.clone() for leaf in leaves]
        for mine, leaf in zip(self._inputs, leaves, strict=True):
            mine.copy_(leaf)
        arguments = tree_unflatten(self._inputs, spec)
        if self._calls <= WARM_UP:
            return self._warm(arguments)
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._output = self._program(*self._storage, *arguments)
        self._graph.replay()
        return self._output

    def _warm(self, arguments: Any) -> Any:
        """Run a real step on a stream of its own, as the capture requires."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            out = self._program(*self._storage, *arguments)
        torch.cuda.current_stream().wait_stream(stream)
        return out
