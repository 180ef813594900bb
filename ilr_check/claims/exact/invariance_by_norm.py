"""The table of scale-invariant tensors under each norm, checked cell by cell for every drawn net."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import torch

from ilr_check.claims.exact.checks.paths import UNDERFLOW
from ilr_check.claims.exact.checks.scaled_states import deviation, leaves_range, logits
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.data import DataSpec, DigitsSpec, TeacherStudentSpec
from ilr_check.data.sets import load
from ilr_check.evidence import ClaimText
from ilr_check.nets import build, evaluation_bound, initial_parameters
from ilr_check.nets.specs import AttentionSpec, CNNSpec, MLPSpec, NetSpec, NormKind, NormSpec, ResNetSpec
from ilr_check.train.loop import DTYPES, Dtype

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from ilr_check.claims.claim import Profile

Rows = Literal["all", "half", "one"]
"""The units of a layer that are scaled: all, half of them (one of two groups or heads), or the first one."""


class TableCell(NamedTuple):
    """A net, what is scaled in it, and whether the theory says that this changes nothing."""

    title: str
    net: str
    scaled: dict[str, int]
    """The exponent of the factor of each tensor, by its name."""
    holds: bool
    rows: Rows = "all"


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sizes of the table's nets, their weights' seed, the rows they see, and the power of two."""

    data: DataSpec
    image: tuple[int, int, int]
    """Channels, height, width; tokens are the rows of the image."""
    width: int
    seed: int = 0
    batch_size: int = 16
    power: int = 1
    dtype: Dtype = "float64"

    def __post_init__(self) -> None:
        if self.width % 2 or not 6 <= self.width <= 64:
            raise ValueError(
                f"width={self.width!r}: must be even and within [6, 64]; half a layer is three units"
            )
        if not 1 <= abs(self.power) <= 10:
            raise ValueError(f"power={self.power!r}: must be within [-10, 10] and not 0")


def nets(table: Table, classes: int) -> dict[str, NetSpec]:
    """Return the nets of the table, two layers each, by name."""
    channels, height, width = table.image
    units = (table.width, table.width)

    def norm(kind: NormKind, *, affine: bool = False) -> NormSpec:
        return NormSpec(kind=kind, groups=2 if kind == "group" else 1, affine=affine)

    def mlp(kind: NormKind, *, bias: bool = False, affine: bool = False, tanh: bool = False) -> NetSpec:
        return MLPSpec(
            inputs=channels * height * width,
            widths=units,
            classes=classes,
            norm=norm(kind, affine=affine),
            activation="tanh" if tanh else "relu",
            bias=bias,
            head_seed=table.seed,
        )

    def cnn(kind: NormKind) -> NetSpec:
        return CNNSpec(
            image=table.image, channels=units, classes=classes, norm=norm(kind), head_seed=table.seed
        )

    def residual(order: Literal["pre", "post"]) -> NetSpec:
        return ResNetSpec(
            shape=(channels * height * width,),
            width=table.width,
            blocks=2,
            classes=classes,
            residual=order,
            norm=norm("layer"),
            head_seed=table.seed,
        )

    def attention(*, qk_norm: bool) -> NetSpec:
        return AttentionSpec(
            shape=(height, channels * width),
            width=table.width,
            blocks=1,
            classes=classes,
            heads=2,
            qk_norm=qk_norm,
            head_seed=table.seed,
        )

    return {
        **{f"{kind} MLP": mlp(kind) for kind in FLAT},
        **{f"{kind} CNN": cnn(kind) for kind in (*FLAT, "instance")},
        "pre": residual("pre"),
        "post": residual("post"),
        "batch with bias": mlp("batch", bias=True),
        "layer with bias": mlp("layer", bias=True),
        "gains": mlp("layer", affine=True),
        "gains before tanh": mlp("layer", affine=True, tanh=True),
        "weight_norm with gain": mlp("weight_norm", affine=True, bias=True),
        "attention": attention(qk_norm=False),
        "attention with QK-norm": attention(qk_norm=True),
    }


FLAT: tuple[NormKind, ...] = ("batch", "layer", "group", "rms", "weight_norm", "weight_standard")
_INVARIANT_ROWS: dict[str, tuple[Rows, ...]] = {"group": ("all", "half"), "layer": ("all",), "rms": ("all",)}
_UNITS: dict[Rows, str] = {"all": "the whole weight", "half": "half of the units", "one": "a single unit"}
_W = "layers.0.weight"


def _cells() -> tuple[TableCell, ...]:
    found = []
    for name in (*(f"{kind} MLP" for kind in FLAT), *(f"{kind} CNN" for kind in (*FLAT, "instance"))):
        allowed = _INVARIANT_ROWS.get(name.split()[0], ("all", "half", "one"))
        found += [TableCell(f"{name}: {_UNITS[r]}", name, {_W: 1}, r in allowed, r) for r in _UNITS]
    writers = {"stem.weight": 1, "outer.0.weight": 1, "outer.1.weight": 1}
    pair = {"affines.0.gain": 1, "affines.0.shift": 1}
    last = {"affines.1.gain": 1, "affines.1.shift": 1}
    q, k, v, o, stem = "q.0.weight", "k.0.weight", "v.0.weight", "o.0.weight", "stem.weight"
    plain, normed = "attention", "attention with QK-norm"
    return (
        *found,
        TableCell("pre-residual: the inner layer", "pre", {"inner.0.weight": 1}, True),
        TableCell("pre-residual: the stem and all writers", "pre", writers, True),
        TableCell("pre-residual: one writer alone", "pre", {"outer.0.weight": 1}, False),
        TableCell("pre-residual: the stem alone", "pre", {"stem.weight": 1}, False),
        TableCell("post-residual: the outer layer", "post", {"outer.0.weight": 1}, True),
        TableCell("bias before LN: weight and bias", "layer with bias", {_W: 1, "layers.0.bias": 1}, True),
        TableCell("bias before LN: the weight alone", "layer with bias", {_W: 1}, False),
        TableCell("bias before LN: the bias alone", "layer with bias", {"layers.0.bias": 1}, False),
        TableCell("hidden gain and shift", "gains", pair, True),
        TableCell("hidden gain alone", "gains", {"affines.0.gain": 1}, False),
        TableCell("last gain and shift", "gains", last, False),
        TableCell("hidden gain and shift before tanh", "gains before tanh", pair, False),
        TableCell("weight norm: v beside gain and bias", "weight_norm with gain", {_W: 1}, True),
        TableCell("weight norm: the gain", "weight_norm with gain", {"layers.0.gain": 1}, False),
        TableCell("attention: Q -> cQ, K -> K/c", plain, {q: 1, k: -1}, True),
        TableCell("attention: Q alone", plain, {q: 1}, False),
        TableCell("attention: K alone", plain, {k: 1}, False),
        TableCell("attention: the stem and O", plain, {stem: 1, o: 1}, True),
        TableCell("attention: the stem and V", plain, {stem: 1, v: 1}, True),
        TableCell("attention: V alone", plain, {v: 1}, False),
        TableCell("QK-norm: Q", normed, {q: 1}, True),
        TableCell("QK-norm: K", normed, {k: 1}, True),
        TableCell("QK-norm: Q of one head", normed, {q: 1}, True, "half"),
        TableCell("QK-norm: a single unit of Q", normed, {q: 1}, False, "one"),
        TableCell("the head", "batch MLP", {"head": 1}, False),
    )


CELLS = _cells()

TEXT = ClaimText(
    id="invariance-by-norm",
    title="Which groups are invariant under which norm",
    statement=(
        "The table covers batch, instance, group, layer and RMS normalisation, weight normalisation and "
        "standardisation, normalised queries and keys, and residual nets with the norm in front or behind. "
        "Scaling what the table calls invariant by powers of two does not change one bit of the outputs."
    ),
    equation="f(c·w_G) = f(w) for the groups G of the table, and for no others",
    source="each norm is homogeneous of degree 0 in what it reads as one set, or as sets of one scale",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=tuple(cell.title for cell in CELLS if not cell.holds),
    meaning=(
        "A norm normalises over other sets than its name says, or a bias, gain or skip connection stands "
        "where none is expected."
    ),
    blind="gradients and training: only outputs are compared, at random weights and for powers of two.",
)
_DEAD = "bias before BN: any bias"


def check(table: Table) -> Outcome:
    """Scale what each cell names; no bit of the outputs may change where the table says so."""
    dtype = DTYPES[table.dtype]
    dataset = load(table.data, dtype=dtype)
    x, y = dataset.x[: table.batch_size], dataset.y[: table.batch_size]
    worst, skipped = Worst(), ""
    built = {}
    for name, spec in nets(table, dataset.classes).items():
        module = build(spec, dtype=dtype, free=True)
        state = {n: p.detach() for n, p in module.named_parameters()}
        state |= initial_parameters(spec, table.seed, dtype=dtype)
        built[name] = (module, state, logits(module, state, x))
    for cell in CELLS:
        module, state, plain = built[cell.net]
        other = dict(state)
        for name, exponent in cell.scaled.items():
            units = {"all": state[name].shape[0], "half": state[name].shape[0] // 2, "one": 1}[cell.rows]
            factors = torch.ones(state[name].shape[0], dtype=dtype)
            factors[:units] = 2.0 ** (table.power * exponent)
            other[name] = state[name] * factors.reshape(-1, *[1] * (state[name].dim() - 1))
        different = deviation(plain, logits(module, other, x))
        if not cell.holds:
            worst.add_rival(cell.title, different, 1.0)
        elif different > 0 and leaves_range(module, (state, other), x):
            skipped = UNDERFLOW
        else:
            worst.add(different, 1.0, group=cell.title, step=0)
    _dead_bias(table, dataset.classes, x, y, worst)
    return worst.outcome(steps=1, events=(f"dtype: {table.dtype}", f"width: {table.width}"), skipped=skipped)


def _dead_bias(table: Table, classes: int, x: torch.Tensor, y: torch.Tensor, worst: Worst) -> None:
    """Check a bias in front of batch norm: it changes nothing but rounding. It is not bitwise, as it is added
    first."""
    spec = nets(table, classes)["batch with bias"]
    module = build(spec, dtype=x.dtype)
    state = initial_parameters(spec, table.seed, dtype=x.dtype)
    other = state | {"layers.0.bias": -2.0 * state["layers.0.bias"] + 1.0}
    (loss, bound), (moved, other_bound) = (evaluation_bound(module, s, x, y) for s in (state, other))
    worst.add(float(moved - loss), bound + other_bound, group=_DEAD, step=0)


def _examples() -> SearchStrategy[Table]:
    import hypothesis.strategies as st

    @st.composite
    def tables(draw: st.DrawFn) -> Table:
        image = (draw(st.integers(1, 3)), draw(st.integers(2, 4)), draw(st.integers(2, 4)))
        inputs = image[0] * image[1] * image[2]
        classes = draw(st.integers(2, 5))
        return Table(
            data=TeacherStudentSpec(inputs=inputs, classes=classes, seed=draw(st.integers(0, 99))),
            image=image,
            width=2 * draw(st.integers(3, 12)),
            seed=draw(st.integers(0, 999)),
            batch_size=draw(st.integers(4, 32)),
            power=draw(st.integers(-6, 6).filter(bool)),
            dtype=draw(st.sampled_from(("float64", "float32"))),
        )

    return tables()


def _real(profile: Profile) -> tuple[tuple[str, Table], ...]:
    table = Table(data=DigitsSpec(), image=(1, 8, 8), width=16, batch_size=64)
    return (("the table on digits", table),)


LAW = ExactLaw(
    text=TEXT,
    example_type=Table,
    examples=_examples,
    check=check,
    real=_real,
    quantity="change of the outputs / unit roundoff",
)
CLAIM = LAW.claim()
