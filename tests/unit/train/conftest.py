"""Fixtures of the tests of fleets."""

import pytest
import torch


@pytest.fixture
def _products_round_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(4, 12, 12, generator=generator, dtype=torch.float64) for _ in range(2))
    if not torch.equal(torch.bmm(a, b)[1], a[1] @ b[1]):
        pytest.skip("this machine rounds batched matrix products in another way than single ones")
