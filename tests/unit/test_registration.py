"""Claims and data sets from outside the package, by decorator and by entry point."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import torch

import ilr_check
from ilr_check import claims, plugins
from ilr_check.claims.claim import Claim, Judged
from ilr_check.data import sets
from ilr_check.evidence import ClaimText
from ilr_check.plugins import PluginError

TEXT = ClaimText(
    id="toy-claim",
    title="A toy",
    statement="Toys are toys.",
    equation="1 = 1",
    source="here",
    kind="statistical",
    chapter="mean-field",
    groups=(),
    rivals=("toys are not toys",),
    meaning="A toy.",
)


def toy(text: ClaimText = TEXT) -> Claim:
    return Claim(text=text, plan=lambda profile, seed: (), judge=lambda subject, context: Judged(()))


class ToySpec(msgspec.Struct, frozen=True, kw_only=True):
    label_noise: float = 0.0


@pytest.fixture
def _clean() -> Iterator[None]:
    yield
    for registry in (claims.REGISTERED, sets.REGISTERED):
        for key in registry.registered():
            registry.remove(key)  # type: ignore[arg-type]
    claims.catalogue.cache_clear()


@pytest.mark.usefixtures("_clean")
def test_a_registered_claim_stands_in_its_chapter() -> None:
    assert "toy-claim" not in claims.catalogue()
    ilr_check.register_claim(toy)
    chapters = [claim.text.chapter for claim in claims.catalogue().values()]
    assert chapters == sorted(chapters, key=claims.CHAPTERS.index)
    assert claims.select("toy-claim")[0].text is TEXT
    assert "toy-claim" in [claim.id for claim in claims.select("mean-field")]


@pytest.mark.usefixtures("_clean")
@pytest.mark.parametrize("taken", ["norm-recursion", "toy-claim"], ids=["shipped", "registered"])
def test_a_claim_that_exists_is_refused(taken: str) -> None:
    ilr_check.register_claim(toy())
    with pytest.raises(PluginError, match=f"the claim '{taken}' exists already; give yours another name"):
        ilr_check.register_claim(toy(msgspec.structs.replace(TEXT, id=taken)))


def test_a_chapter_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="chapter 'mean-feild'; did you mean 'mean-field'"):
        ilr_check.register_claim(toy(msgspec.structs.replace(TEXT, chapter="mean-feild")))


@pytest.mark.usefixtures("_clean")
def test_a_data_set_is_found_by_the_type_of_its_spec() -> None:
    with pytest.raises(TypeError, match="no data set is registered for ToySpec; known are DigitsSpec, "):
        sets.load(ToySpec())  # type: ignore[arg-type]

    @ilr_check.register_data_set(
        ToySpec, held_out=lambda spec, count: (torch.ones(count, 2), torch.zeros(1), 2)
    )
    def load(spec: ToySpec) -> sets.Arrays:
        return torch.eye(2, dtype=torch.float64), torch.arange(2), 2

    assert len(sets.load(ToySpec(), dtype=torch.float32)) == 2  # type: ignore[arg-type]
    assert sets.load_held_out(ToySpec(), 3).x.shape == (3, 2)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="the data set 'ToySpec' exists already"):
        ilr_check.register_data_set(ToySpec)(lambda spec: load(spec))


def test_a_spec_without_label_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="int has no field label_noise"):
        ilr_check.register_data_set(int)(lambda spec: sets.load(spec))


def installed(folder: Path, text: str) -> None:
    """A distribution with an entry point in our group, as a package index would install it."""
    (folder / "toy_plugin.py").write_text(textwrap.dedent(text), encoding="utf-8")
    about = folder / "toy_plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: toy-plugin\nVersion: 1.0\n", encoding="utf-8"
    )
    (about / "entry_points.txt").write_text(f"[{plugins.GROUP}]\ntoys = toy_plugin\n", encoding="utf-8")


REGISTERS = """
    import ilr_check
    from ilr_check.claims import catalogue
    from ilr_check.claims.claim import Claim, Judged
    from ilr_check.evidence import ClaimText

    assert "toy-claim" not in catalogue()  # a plugin may read the catalogue while it is loaded

    @ilr_check.register_claim
    def toy():
        text = ClaimText(
            id="toy-claim", title="A toy", statement="Toys are toys.", equation="1 = 1", source="here",
            kind="statistical", chapter="mean-field", groups=(), rivals=("no",), meaning="A toy.",
        )
        return Claim(text=text, plan=lambda profile, seed: (), judge=lambda subject, context: Judged(()))
"""


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (REGISTERS, 0, "toy-claim"),
        (
            "import no_such_module",
            2,
            "the plugin 'toys' of toy-plugin (toy_plugin) cannot be loaded: ModuleNot",
        ),
        ("forgotten = 1", 2, "the plugin 'toys' of toy-plugin (toy_plugin) registers nothing; decorate what"),
    ],
    ids=["registers", "broken", "forgotten"],
)
def test_an_installed_plugin_is_loaded_or_one_clear_error(
    tmp_path: Path, text: str, code: int, said: str
) -> None:
    installed(tmp_path, text)
    run = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from ilr_check.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", run, "claims"], capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert said in done.stdout + done.stderr
