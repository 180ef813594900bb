"""A recorded claim takes no path and no device from its file."""

from pathlib import Path

import pytest
import torch

from ilr_check.data import cifar, mnist, text
from ilr_check.replaying import ReplayError, replay

SPEC = (
    '{"claim": "larger-data", "unit_seed": 1, "device": "DEVICE", "subject": {"net": {}, '
    '"data": {"kind": "cifar10", "folder": "/etc", "label_noise": 0.5, "per_file": 10}}}'
)


def test_a_folder_in_a_spec_is_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cifar.VARIABLE, raising=False)
    with pytest.raises(ReplayError, match="no path is taken from a file; name your folder of CIFAR-10 with"):
        replay(SPEC.replace("DEVICE", "cpu"))


def test_the_folder_is_the_one_that_the_caller_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ilr_check import replaying

    monkeypatch.setenv(cifar.VARIABLE, str(tmp_path))
    found = replaying._with_named_data({"data": [{"folder": "/etc"}], "folder": 3})
    assert found == {"data": [{"folder": str(tmp_path)}], "folder": 3}


def test_a_folder_of_mnist_is_the_one_that_the_caller_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ilr_check import replaying

    recorded = {"data": {"kind": "mnist", "folder": "/etc"}}
    monkeypatch.delenv(mnist.VARIABLE, raising=False)
    monkeypatch.setenv(cifar.VARIABLE, "/somewhere")
    with pytest.raises(ReplayError, match="name your folder of MNIST with --mnist"):
        replaying._with_named_data(recorded)
    monkeypatch.setenv(mnist.VARIABLE, str(tmp_path))
    assert replaying._with_named_data(recorded)["data"]["folder"] == str(tmp_path)


def test_a_text_in_a_spec_is_never_opened_unless_the_caller_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ilr_check import replaying

    recorded = {"data": {"kind": "text", "path": "/etc/passwd", "context": 3}}
    monkeypatch.delenv(text.VARIABLE, raising=False)
    with pytest.raises(ReplayError, match="no path is taken from a file; name your text with --text"):
        replaying._with_named_data(recorded)
    monkeypatch.setenv(text.VARIABLE, str(tmp_path))
    assert replaying._with_named_data(recorded)["data"]["path"] == str(tmp_path)
    own = {"kind": "text", "context": 3}
    assert replaying._with_named_data(own) == own


@pytest.mark.parametrize("device", ["tpu", "cuda"])
def test_a_device_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"device '{device}' is not"):
        replay('{"claim": "norm-recursion", "example": {}, "device": "DEVICE"}'.replace("DEVICE", device))
