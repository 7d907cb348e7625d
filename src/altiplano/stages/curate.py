"""Raw files to documents that are kept or dropped with a reason."""

import hashlib

from altiplano.corpus.readers.listing import input_fingerprint
from altiplano.optional_imports import require
from altiplano.stages.stage import Context, Result, Stage


def run(context: Context) -> Result:
    require()
    from altiplano.corpus.curation import curate

    corpus, before, added = context.recipe.corpus, context.workspace / "curate", context.extensions
    return Result(
        curate(
            corpus,
            context.recipe.seed,
            context.folder,
            engine=context.engine,
            before=before,
            filters=added.filters if added else (),
            annotators=added.annotators if added else (),
            readers=added.readers if added else None,
        )
    )


def _functions(context: Context) -> str:
    found = context.extensions.fingerprint(filters=True) if context.extensions else []
    return hashlib.sha256("\n".join(found).encode()).hexdigest() if found else ""


STAGE = Stage(
    name="curate",
    reads=("seed", "corpus"),
    inputs=(),
    run=run,
    code=("corpus", "execution", "recipe"),
    sources=lambda context: input_fingerprint(context.recipe.corpus),
    functions=_functions,
)
