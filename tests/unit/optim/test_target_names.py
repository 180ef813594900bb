"""An unknown name of an optimizer: the error lists classes of optimizers, and the nearest name."""

from pathlib import Path

import pytest

from ilr_check.optim.target import TargetError, import_target


def test_an_unknown_class_of_torch_is_told_the_classes() -> None:
    with pytest.raises(TargetError, match="did you mean 'Adam") as caught:
        import_target("torch.optim:AdamX")
    listed = str(caught.value).partition("choose one of these: ")[2].split(", ")
    assert {"Adam", "AdamW", "SGD", "LBFGS"} <= set(listed)
    assert all(name[0].isupper() for name in listed)
    assert "Optimizer" not in listed


def test_a_file_without_classes_lists_its_own_functions(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from copy import deepcopy\ndef make_sgd(params): ...\n", encoding="utf-8")
    with pytest.raises(TargetError, match=r"choose one of these: make_sgd$"):
        import_target(f"{file}:make_adam")
