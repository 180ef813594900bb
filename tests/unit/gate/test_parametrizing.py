"""``parametrize_with_laws`` in a user's own test file: one case a law, declared failures are strict xfails."""

import pytest

pytest_plugins = ["pytester"]

FILE = """
import ilr_check, torch

class Broken(torch.optim.SGD):
    def __init__(self, params, lr=0.1, weight_decay=0.0):
        super().__init__(params, lr=lr, weight_decay=2 * weight_decay)

@ilr_check.parametrize_with_laws({factory}, contract="sgd", claims="leaves-the-world-alone,decay-coupling" {more})
def test_mine(law):
    law()
"""


@pytest.mark.parametrize(
    ("factory", "more", "outcome"),
    [
        ("torch.optim.SGD", "", {"passed": 2}),
        ("Broken", "", {"passed": 1, "failed": 1}),
        (
            "Broken",
            ", expected_failures={'decay-coupling': 'doubled on purpose'}",
            {"passed": 1, "xfailed": 1},
        ),
        ("torch.optim.SGD", ", expected_failures={'decay-coupling': 'gone'}", {"passed": 1, "failed": 1}),
    ],
    ids=["right", "broken", "declared", "unexpected pass"],
)
def test_one_case_a_law(pytester: pytest.Pytester, factory: str, more: str, outcome: dict[str, int]) -> None:
    pytester.makepyfile(FILE.format(factory=factory, more=more))
    result = pytester.runpytest("-p", "no:cacheprovider", "-p", "no:ilr_check")
    result.assert_outcomes(**outcome)


def test_an_unknown_law_is_refused() -> None:
    import ilr_check

    with pytest.raises(ValueError, match="expected failure 'memry' is no law; did you mean 'memory'"):
        ilr_check.parametrize_with_laws(object, expected_failures={"memry": "x"})
