"""A layout never changes the mathematics: every layout against one plain process, twenty optimizer steps.

    make contract
    cd tests && python -m distributed.contract [--precision float64 ...] [--ranks 2 4 ...] [--only pp2] [--fast]

prints a table of the largest relative differences in losses, gradient norms, every parameter's gradient at the first
step, every parameter after the last (norm of the difference over norm of the reference), and losses per token of an
evaluation; exits with 1 when one is beyond its bound. --fast takes five steps and leaves out the slowest layouts.
"""

import argparse
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from altiplano.parallel.processes import fork_ranks
from altiplano.recipe.layout import parse_layout
from distributed.twenty_steps import STEPS, Outcome, plain, spread


@dataclass(frozen=True)
class Case:
    layout: str
    kind: str = "regular"
    """regular, ragged, tied, deep or deeper: which batches and which model."""
    slow: bool = False

    @property
    def name(self) -> str:
        return self.layout + ("" if self.kind == "regular" else f" {self.kind}")

    @property
    def ranks(self) -> int:
        return parse_layout(self.layout).world_size


CASES = [
    Case("dp1"),
    Case("mb3", "ragged"),
    Case("recompute-full"),
    Case("recompute-selective"),
    # Each dimension and each schedule alone.
    Case("dp2"),
    Case("dp2.rep2"),
    Case("tp2"),
    Case("cp2"),
    Case("pp2"),
    Case("pp2.gpipe"),
    Case("pp2.interleaved"),
    Case("pp2.zbv"),
    Case("dp2", "tied"),
    Case("tp2", "tied"),
    Case("cp2", "tied"),
    Case("dp2.mb2", "ragged"),
    Case("cp2.mb2", "ragged"),
    Case("tp2.mb3", "ragged"),
    Case("pp2.mb1", "ragged"),
    Case("pp2.interleaved", "ragged"),
    Case("pp2.zbv.mb2", "ragged"),
    # The head in pieces of the vocabulary; of 544 words they are uneven.
    Case("hc3"),
    Case("dp2.hc5", "tied"),
    Case("cp2.mb2.hc3", "ragged", slow=True),
    Case("tp2.hc2"),
    Case("pp2.hc2", slow=True),
    Case("pp2.zbv.hc2"),
    Case("pp2.gpipe.hc3", slow=True),
    Case("dp2.tp2.pp2.interleaved.hc2", "deep", slow=True),
    Case("dp2.cp2.tp2.hc3", "tied", slow=True),
    Case("tp2.recompute-selective", slow=True),
    # Sizes of four and pairs. tp4 has as many ranks as key heads.
    Case("dp4", "ragged"),
    Case("dp4.rep2"),
    Case("tp4"),
    Case("cp4", slow=True),
    Case("pp4"),
    Case("dp2.tp2"),
    Case("dp2.cp2"),
    Case("dp2.pp2"),
    Case("cp2.tp2"),
    Case("cp2.pp2"),
    Case("tp2.pp2"),
    Case("dp2.pp2.zbv"),
    Case("dp2.pp2.interleaved", slow=True),
    Case("cp2.pp2.zbv", slow=True),
    Case("dp2.pp2.recompute-selective"),
    Case("dp2.pp2.mb1", "ragged"),
    Case("dp4", slow=True),
    Case("tp2.pp2.zbv.recompute-full", slow=True),
    Case("dp2.tp2.recompute-selective", slow=True),
    Case("cp2.tp2.recompute-selective", slow=True),
    Case("dp2.tp2", "tied", slow=True),
    Case("dp2.cp2.mb1", "ragged", slow=True),
    Case("pp2.v3", "deep", slow=True),
    Case("dp2.pp2.v4", "deeper", slow=True),
    Case("pp4.interleaved", "deep", slow=True),
    Case("pp4.zbv", "deep", slow=True),
    # Three dimensions.
    Case("dp2.tp2.pp2"),
    Case("dp2.cp2.tp2", slow=True),
    Case("cp2.tp2.pp2.interleaved", slow=True),
    Case("dp2.tp2.pp2.zbv", slow=True),
    Case("dp4.rep2.pp2.interleaved", slow=True),
    Case("dp2.rep2.cp2.tp2", "ragged", slow=True),
    Case("dp2.cp2.pp2.recompute-full", "ragged", slow=True),
]

COLUMNS = ("loss", "gradient norm", "gradients", "parameters", "scores")
BOUNDS = {"float64": 1e-9, "float32": 1e-5}
FINER = {"float32": "float64", "bfloat16": "float32"}
TIMES_ITS_OWN = 4.0


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def differences(ours: Outcome, reference: Outcome) -> dict[str, float]:
    """The largest of each kind."""

    def numbers(a: list[float], b: list[float]) -> float:
        return max(abs(x - y) / abs(y) if math.isfinite(x) else math.inf for x, y in zip(a, b, strict=True))

    def tensors(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
        assert a.keys() == b.keys(), a.keys() ^ b.keys()
        return max(relative(a[name], b[name]) for name in b)

    assert ours.scores is not None
    assert reference.scores is not None
    return {
        "loss": numbers(ours.losses, reference.losses),
        "gradient norm": numbers(ours.norms, reference.norms),
        "gradients": tensors(ours.gradients, reference.gradients),
        "parameters": tensors(ours.parameters, reference.parameters),
        "scores": relative(ours.scores, reference.scores),
    }


def missed(
    ours: Outcome, reference: Outcome, finer: Outcome, precision: str, alone: dict[str, float] | None = None
) -> list[str]:
    """Columns beyond their bound, which in coarse precision depends on what rounding does to the plain process itself.

    Parameters in float32 may be off by 1e-5 but for one of the model's elements of ten thousand: AdamW divides by the
    size of the gradient, so where that is below its ε the rounding of that element moves a whole tensor by 1e-5. In
    bfloat16 all may be off by four times as much as one process in bfloat16 is from one in float32, or as one rank is
    from it, whose differences are ``alone``: gradients of ten layers are multiplied roundings.
    """
    found, own = differences(ours, reference), differences(reference, finer)
    if precision == "bfloat16":
        rounding = {column: max(own[column], (alone or own)[column]) for column in COLUMNS}
        return [column for column in COLUMNS if not found[column] <= TIMES_ITS_OWN * rounding[column]]
    bound = BOUNDS[precision]
    beyond = [column for column in COLUMNS if not found[column] <= bound]
    if precision == "float32" and "parameters" in beyond:
        parameters = reference.parameters
        few = sum(map(Tensor.numel, parameters.values())) // 10_000
        if sum(elements_beyond(ours.parameters[name], value, bound) for name, value in parameters.items()) <= few:
            beyond.remove("parameters")
    return beyond


def elements_beyond(a: Tensor, b: Tensor, bound: float) -> int:
    """How many elements, those that differ most, must be left out for the others to be within ``bound`` of ``b``."""
    apart = (a.double() - b.double()).flatten().abs().sort().values
    if not apart.isfinite().all():
        return len(apart)
    within = apart.square().cumsum(0).sqrt() <= bound * float(b.double().norm())
    return len(apart) - int(within.sum())


def in_ranks(count: int, work: Callable[[], None]) -> None:
    """Run ``work`` in ``count`` forked processes."""

    def run() -> int:
        work()
        if count > 1:
            torch.distributed.barrier()
        return 0

    code = fork_ranks(count, run)
    if code:
        sys.exit(f"one of {count} ranks failed with status {code}")


def references(precision: str, steps: int, folder: Path) -> dict[str, Outcome]:
    kinds = sorted({case.kind for case in CASES})
    in_ranks(1, lambda: torch.save({kind: plain(kind, precision, steps) for kind in kinds}, folder / "plain.pt"))
    return torch.load(folder / "plain.pt", weights_only=False)


def outcomes(cases: list[Case], precision: str, steps: int, folder: Path) -> dict[Case, Outcome]:
    """All cases of one number of ranks, one after the other in the same processes."""
    ranks = cases[0].ranks

    def work() -> None:
        rank = int(os.environ["RANK"])
        for number, case in enumerate(cases):
            outcome = spread(case.layout, case.kind, precision, steps)
            # The first rank of every pipeline rank has its stages' parameters.
            if rank % (ranks // parse_layout(case.layout).pp) == 0:
                torch.save(outcome, folder / f"{ranks}.{number}.{rank}.pt")

    in_ranks(ranks, work)
    result = {}
    for number, case in enumerate(cases):
        parts = [torch.load(file, weights_only=False) for file in sorted(folder.glob(f"{ranks}.{number}.*.pt"))]
        for part in parts[1:]:
            assert (part.losses, part.norms) == (parts[0].losses, parts[0].norms), f"{case.name}: ranks disagree"
            assert not part.parameters.keys() & parts[0].parameters.keys(), f"{case.name}: a parameter is on two stages"
            parts[0].gradients |= part.gradients
            parts[0].parameters |= part.parameters
        result[case] = parts[0]
    return result


def measure(cases: list[Case], precision: str, steps: int) -> Iterator[tuple[str, dict[str, float], list[str] | None]]:
    """Name, differences and missed columns of each case; before them, without a verdict, what rounding does alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plainly = references(precision, steps, folder)
        finer = references(FINER[precision], steps, folder) if precision in FINER else plainly
        for kind in plainly if precision in FINER else ():
            yield f"plain, to {FINER[precision]}, {kind}", differences(plainly[kind], finer[kind]), None
        rounds = precision == "bfloat16"
        one_rank = [Case("dp1", kind) for kind in sorted({case.kind for case in cases})] if rounds else []
        alone: dict[str, dict[str, float]] = {}
        for case, ours in (outcomes(one_rank, precision, steps, folder) if one_rank else {}).items():
            alone[case.kind] = differences(ours, plainly[case.kind])
            yield f"one rank, {case.kind}", alone[case.kind], None
        for ranks in sorted({case.ranks for case in cases}):
            together = [case for case in cases if case.ranks == ranks]
            for case, ours in outcomes(together, precision, steps, folder).items():
                reference, own = plainly[case.kind], alone.get(case.kind)
                yield case.name, differences(ours, reference), missed(ours, reference, finer[case.kind], precision, own)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    precisions = ["float64", "float32", "bfloat16"]
    options.add_argument("--precision", nargs="+", default=precisions, choices=precisions)
    options.add_argument("--ranks", nargs="+", type=int, default=[1, 2, 4, 8], choices=[1, 2, 4, 8])
    options.add_argument("--only", default="", metavar="TEXT", help="layouts that are spelt with TEXT")
    options.add_argument("--fast", action="store_true")
    chosen = options.parse_args()
    cases = [case for case in CASES if case.ranks in chosen.ranks and chosen.only in case.name]
    cases = [case for case in cases if not (chosen.fast and case.slow)]
    torch.set_num_threads(1)  # ranks are forked, and share the cores
    warnings.filterwarnings("ignore", category=UserWarning)
    count, failures = 0, []
    for precision in chosen.precision:
        print(f"\n{precision:32s}" + "".join(f"{column:>15s}" for column in COLUMNS))
        for name, found, beyond in measure(cases, precision, 5 if chosen.fast else STEPS):
            cells = "".join(f"{found[column]:14.1e}{'!' if column in (beyond or ()) else ' '}" for column in COLUMNS)
            print(f"{name:32s}{cells}", flush=True)
            count += beyond is not None
            failures += [f"{precision} {name}: {', '.join(beyond)}"] if beyond else []
    print("\n".join(["", f"{count} contracts, {len(failures)} missed", *failures]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
