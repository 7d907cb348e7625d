"""Tokenize: curated documents to a vocabulary and token shards."""

from altiplano.errors import InputError
from altiplano.stages.stage import Context, Result, Stage
from altiplano.tokens.encoding import encode_documents, sample_texts
from altiplano.tokens.tokenizer import Tokenizer


def run(context: Context) -> Result:
    recipe, curated = context.recipe, context.inputs["curate"]
    tokenizer = Tokenizer.train(sample_texts(curated, recipe.tokenizer.sample_bytes), recipe.model.vocabulary)
    (context.folder / "tokenizer").mkdir(exist_ok=True)
    tokenizer.save(context.folder / "tokenizer")
    shards = encode_documents(curated, tokenizer, context.folder)
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


STAGE = Stage("tokenize", reads=("tokenizer", "model.vocabulary"), inputs=("curate",), run=run)
