"""Raw files to documents that are kept or dropped with a reason."""

from altiplano.corpus.readers.listing import input_fingerprint
from altiplano.optional_imports import require
from altiplano.stages.stage import Context, Result, Stage


def run(context: Context) -> Result:
    require()
    from altiplano.corpus.curation import curate

    corpus, before = context.recipe.corpus, context.workspace / "curate"
    return Result(curate(corpus, context.recipe.seed, context.folder, engine=context.engine, before=before))


STAGE = Stage(
    name="curate",
    reads=("seed", "corpus"),
    inputs=(),
    run=run,
    code=("corpus",),
    sources=lambda context: input_fingerprint(context.recipe.corpus),
)
