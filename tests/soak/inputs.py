"""Generated inputs: every command with wrong words, settings files and environment variables."""

from __future__ import annotations

import contextlib
import io
import os
import random
from pathlib import Path

from counts import Count

ODD = (
    *(
        "",
        " ",
        "-",
        "--",
        "-1",
        "0",
        "1",
        "2",
        "1e9",
        "nan",
        "inf",
        "-inf",
        "9" * 40,
        "²",
        "١",
        "0x10",
        "true",
    ),
    *(
        "None",
        "[]",
        "{}",
        "{",
        '{"claim": 1}',
        '{"claim": "norm-recursion"}',
        '{"verdict": "holds"}',
        "[[[",
        "é",
    ),
    *(
        "\ud800",
        "a\nb",
        "a\0b",
        "\x1b[31m",
        "x" * 3000,
        "../..",
        "/",
        "/dev/null",
        "/nonexistent/x",
        "folder",
    ),
    *("precious.py", "link", "a.json", "no:where", "precious.py:O", "missing.py:O", "torch.optim:nothing"),
    *("torch.optim:SGD:x", "norm-recursion", "core,", ",", "all", "run", "run#", "run#x", "#", "gate.json#x"),
    *(
        "lr=",
        "=1",
        "lr=0.1",
        "lr=lr",
        "cuda",
        "tpu",
        "paper",
        "quick",
        "%s",
        "{0}",
        "$HOME",
        "~",
        "*",
        "con:1",
    ),
)
SETTINGS = ("profile", "claims", "seed", "device", "out", "threads", "jobs", "contract", "cifar10", "unknown")
NEVER = {"verify", "gate", "bench", "symmetry", "fingerprint", "demo", "doctor"}
"""Commands that do long work when all their words are good; their inputs get a word that is always bad."""


def inputs(count: Count, folder: Path, times: int, seed: int) -> None:
    """Call commands in this process; each must end in a known code, without a traceback or a lost file."""
    from ilr_check import cli

    draw = random.Random(seed)
    (folder / "folder").mkdir()
    (folder / "precious.py").write_text("raise SystemExit('imported')\n")
    (folder / "link").symlink_to("precious.py")
    (folder / "gate.json").write_text('{"findings": 3}')
    kept = _contents(folder)
    commands = {name: list(command.params) for name, command in cli.app.commands.items()}
    outside = {name: value for name, value in os.environ.items() if not name.startswith("ILR_CHECK_")}
    here = Path.cwd()
    os.chdir(folder)
    try:
        for _ in range(times):
            words, toml, variables = _drawn(draw, commands)
            (folder / "pyproject.toml").write_bytes(toml)
            os.environ.clear()
            os.environ.update(outside | variables)
            code, told = _called(cli.main, words)
            count.tried += 1
            count.saw(f"exit code {code}")
            what = f"{words!r} {toml!r} {variables!r}: exit code {code}: {told[-200:]!r}"
            count.demand(code in (0, 1, 2, 3), what)
            count.demand("Traceback" not in told, what)
            (folder / "pyproject.toml").unlink()
            count.demand(
                {name: data for name, data in _contents(folder).items() if name in kept} == kept, what
            )
    finally:
        os.environ.clear()
        os.environ.update(outside)
        os.chdir(here)


def _drawn(draw: random.Random, commands: dict[str, list]) -> tuple[list[str], bytes, dict[str, str]]:
    name = draw.choice(sorted(commands))
    words = [name]
    for parameter in draw.sample(commands[name], k=min(len(commands[name]), draw.randint(0, 3))):
        if parameter.param_type_name == "argument":
            words.append(draw.choice(ODD))
        elif getattr(parameter, "is_flag", False):
            if parameter.opts[0] not in ("--help", "--debug"):
                words.append(parameter.opts[0])
        else:
            words += [parameter.opts[0], draw.choice(ODD)]
    toml = b""
    if draw.random() < 0.3:
        value = draw.choice(("1", "-1", "true", "'x'", '""', "[]", "1.5", "1979-05-27", "{}", "nonsense"))
        toml = f"[tool.ilr_check]\n{draw.choice(SETTINGS)} = {value}\n".encode()
        toml = draw.choice((toml, toml, toml[:-4], toml + b"\xff", toml * 2))
    variables = {}
    if draw.random() < 0.3:
        odd = draw.choice([word for word in ODD if "\0" not in word and "\ud800" not in word])
        variables = {f"ILR_CHECK_{draw.choice(SETTINGS).upper()}": odd}
    if name in NEVER:
        options = {option for parameter in commands[name] for option in parameter.opts}
        bad = [["--not-an-option"]]
        bad += [["--device", "tpu"]] * 3 if "--device" in options else []
        bad += [["--seed", "-1"]] * 3 if "--seed" in options else []
        words += draw.choice(bad)
    return words, toml, variables


def _called(main, words: list[str]) -> tuple[int, str]:
    out, code = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace", write_through=True), 70
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main(words)
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else 70
        except BaseException as error:
            out.write(f"Traceback: {type(error).__name__}: {error}")
    return code, out.buffer.getvalue().decode("utf-8", "replace")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
