"""Raw files to documents that are kept or dropped with a reason."""

from altiplano.corpus.curate import curate
from altiplano.corpus.sources.listing import input_fingerprint
from altiplano.stages.stage import Context, Result, Stage


def run(context: Context) -> Result:
    return Result(counts=curate(context.recipe.corpus, context.recipe.seed, context.folder))


STAGE = Stage(
    name="curate",
    reads=("seed", "corpus"),
    inputs=(),
    run=run,
    sources=lambda context: input_fingerprint(context.recipe.corpus),
)
