"""``parametrize_with_laws`` in a user's own tests: one case for each law, and expected failures are strict
xfails."""

import pytest

import ilr_check

pytest_plugins = ["pytester"]

FILE = """
import ilr_check, torch

class Broken(torch.optim.SGD):
    def __init__(self, params, lr=0.1, weight_decay=0.0):
        super().__init__(params, lr=lr, weight_decay=2 * weight_decay)

OPTIONS = {"contract": "sgd", "claims": "leaves-the-world-alone,decay-coupling"}

@ilr_check.parametrize_with_laws(torch.optim.SGD, **OPTIONS)
def test_right(law):
    law()

@ilr_check.parametrize_with_laws(Broken, **OPTIONS)
def test_broken(law):
    law()

@ilr_check.parametrize_with_laws(Broken, **OPTIONS, expected_failures={"decay-coupling": "on purpose"})
def test_declared(law):
    law()

@ilr_check.parametrize_with_laws(torch.optim.SGD, **OPTIONS, expected_failures={"decay-coupling": "gone"})
def test_unexpected(law):
    law()
"""


def test_one_case_a_law(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FILE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rA")
    result.assert_outcomes(passed=5, failed=2, xfailed=1)
    result.stdout.fnmatch_lines_random(
        [
            "*PASSED *test_right?decay-coupling?",
            "*XFAIL *test_declared?decay-coupling? - on purpose",
            "*FAILED *test_broken?decay-coupling? - *",
            "*FAILED *test_unexpected?decay-coupling? - ?XPASS(stric*",
        ]
    )


def test_an_unknown_law_is_refused() -> None:
    with pytest.raises(ValueError, match="expected failure 'memry' is no law; did you mean 'memory'"):
        ilr_check.parametrize_with_laws(object, expected_failures={"memry": "x"})
