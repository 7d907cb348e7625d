"""Tokenize: curated documents to a vocabulary and token shards."""

from pathlib import Path

from altiplano.errors import InputError
from altiplano.execution.map_shards import open_engine
from altiplano.recipe.schema import Recipe
from altiplano.stages.stage import Context, Result, Stage
from altiplano.storage import digest
from altiplano.tokens.encode import document_files, encode_documents, sample_texts
from altiplano.tokens.imported_tokenizer import import_tokenizer, tokenizer_file
from altiplano.tokens.tokenizer import Tokenizer

ONE_PROCESS = 64 * 2**20
"""Bytes of documents below which threads are faster than processes, which have to start."""


def run(context: Context) -> Result:
    recipe, curated = context.recipe, context.inputs["curate"]
    tokenizer = context.folder / "tokenizer"
    if not (tokenizer / "tokenizer.json").exists():  # else an interrupted run has trained it
        tokenizer.mkdir(exist_ok=True)
        _tokenizer(recipe, curated).save(tokenizer)
    few = sum(file.stat().st_size for file in document_files(curated)) < ONE_PROCESS
    with open_engine(context.engine, 1 if few and context.engine == "local" else None) as engine:
        shards = encode_documents(curated, tokenizer, context.folder, engine)
    counts = {
        split: {
            "documents": sum(shard.documents for shard in shards if shard.split == split),
            "tokens": sum(shard.tokens for shard in shards if shard.split == split),
            "bytes": sum(shard.bytes for shard in shards if shard.split == split),
        }
        for split in ("train", "heldout")
    }
    if not counts["heldout"]["documents"]:
        raise InputError(
            "no document was set aside to evaluate with: each domain × language has too few; add documents, "
            "or lower corpus.heldout.min_documents or corpus.quality.max_characters"
        )
    return Result(counts)


def _tokenizer(recipe: Recipe, curated: Path) -> Tokenizer:
    """The recipe's, or one trained on the curated text. Raises InputError when it does not fit the model."""
    if recipe.tokenizer.path is None:
        return Tokenizer.train(sample_texts(curated, recipe.tokenizer.sample_bytes), recipe.model.vocab_size)
    tokenizer, wanted = import_tokenizer(recipe.tokenizer.path), recipe.model.vocab_size
    # pretrained models have rows to spare
    if tokenizer.vocab_size > wanted or (tokenizer.vocab_size < wanted and recipe.pretrained is None):
        raise InputError(
            f"tokenizer.path: {recipe.tokenizer.path} has {tokenizer.vocab_size:,} tokens, model.vocab_size is "
            f"{wanted:,}: set it to the former"
        )
    return tokenizer


def _sources(context: Context) -> str:
    """Changes when an imported tokenizer does."""
    path = context.recipe.tokenizer.path
    if path is None:
        return ""
    try:
        return digest(tokenizer_file(path))
    except OSError as error:
        raise InputError(f"tokenizer.path: {path} cannot be read ({error.strerror})") from error


STAGE = Stage(
    "tokenize",
    reads=("tokenizer", "model.vocab_size", "pretrained"),
    inputs=("curate",),
    run=run,
    code=("execution", "recipe", "tokens"),
    sources=_sources,
)
