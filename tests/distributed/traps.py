"""Silent wrong gradients, sprung on purpose: removes one guard and must see the contract fail.

    cd tests && python -m distributed.traps NAME

average      gradients are summed over ranks on the root module only, as the call is not recursive
positions    context-parallel ranks rotate queries and keys as if their tokens began the row
padding      rows that fill up a micro-batch are predicted
collective   torch.compile right after the collective of a split embedding, without an operation between
"""

import sys
import tempfile
import warnings
from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import nn

from altiplano.errors import TrainingError
from altiplano.model.llama import Llama
from altiplano.parallel import compilation, context, data, pipeline
from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.parallelize import parallelize
from altiplano.recipe.layout import parse_layout
from altiplano.tokens.loader import Batch
from altiplano.training.loss import token_losses
from distributed.contract import Case, differences, in_ranks, outcomes, references
from distributed.twenty_steps import batches, recipe_of, take


def padded_and_predicted(batch: Batch, rows: int) -> Batch:
    more = (0, 0, 0, rows - len(batch.tokens))
    return Batch(F.pad(batch.tokens, more), F.pad(batch.targets, more), F.pad(batch.document, more))


def split_without_positions(model: Llama, share: context.ContextShard) -> None:
    whole = model.rotary
    context.split_context(model, share)
    model.rotary = lambda start, tokens, *more: whole(start, len(share.held), *more)  # type: ignore[method-assign]


BREAKS = {
    "average": (Case("dp2"), patch.object(data, "fsdp_modules", lambda model: [model])),
    "positions": (Case("cp2"), patch("altiplano.parallel.parallelize.split_context", split_without_positions)),
    "padding": (Case("dp2.pp2.mb2", "ragged"), patch.object(pipeline, "padded", padded_and_predicted)),
}


def contract_fails(case: Case) -> bool:
    with tempfile.TemporaryDirectory() as name:
        plainly = references("float64", 1, Path(name))[case.kind]
        found = differences(outcomes([case], "float64", 1, Path(name))[case], plainly)
    print(found)
    return found["gradients"] > 1e-3


def check_finds(guarded: bool) -> None:
    """The self-check on a model split and sharded over two ranks each way and compiled."""
    layout = parse_layout("dp2.tp2")
    mesh, recipe = start_mesh(layout, "cpu"), recipe_of("regular", "float64")

    def compile_blocks(model: Llama) -> None:
        compilation.compile_blocks(model, backend="aot_eager")
        if not guarded and model.embed_tokens is not None:
            drop_hook_after_collective(model.embed_tokens)

    with patch("altiplano.parallel.parallelize.recompute_blocks", lambda model, recompute: compile_blocks(model)):
        model = parallelize(recipe, layout, mesh, token_losses(mesh.group("tp")))
    batch = next(batches("regular", 1))
    mine = take(batch, layout.share(range(8), mesh.rank("dp")))
    compilation.check_gradients(lambda: model.step(mine, 8, batch.valid), model.parts, torch.float64)


def drop_hook_after_collective(embedding: nn.Module) -> None:
    embedding._forward_hooks.popitem()


def collective_trap() -> bool:
    def guarded() -> None:
        check_finds(guarded=True)

    def unguarded() -> None:
        try:
            check_finds(guarded=False)
        except TrainingError as error:
            print(error)
            return
        except AttributeError as error:  # PyTorch's own crash without data parallelism
            print(error)
            return
        raise AssertionError("the gradient of the embedding was not lost: is the guard still needed?")

    in_ranks(4, guarded)
    in_ranks(4, unguarded)
    return True


def main() -> int:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning)
    if sys.argv[1] == "collective":
        return 0 if collective_trap() else 1
    case, broken = BREAKS[sys.argv[1]]
    with broken:
        return 0 if contract_fails(case) else 1


if __name__ == "__main__":
    sys.exit(main())
