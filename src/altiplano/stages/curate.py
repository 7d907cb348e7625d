"""Raw files to documents that are kept or dropped with a reason."""

from altiplano.corpus.extras import require
from altiplano.corpus.sources.listing import input_fingerprint
from altiplano.stages.stage import Context, Result, Stage


def run(context: Context) -> Result:
    require()
    from altiplano.corpus.curate import curate  # compiled code and libraries of an extra

    corpus, before = context.recipe.corpus, context.workspace / "curate"
    return Result(curate(corpus, context.recipe.seed, context.folder, engine=context.engine, before=before))


STAGE = Stage(
    name="curate",
    reads=("seed", "corpus"),
    inputs=(),
    run=run,
    sources=lambda context: input_fingerprint(context.recipe.corpus),
)
