"""A small recipe and small data: ten steps of a model that trains in a second, on made-up text."""

import random
from pathlib import Path

SMALL = [
    "model.hidden_size=64",
    "model.intermediate_size=160",
    "model.vocab_size=768",
    "batch.sequence_length=64",
    "batch.tokens=1024",
    "batch.total_tokens=10240",
    "optimizer.warmup_steps=2",
    "precision.compute=float32",
    "evaluation.interval_steps=5",
    "evaluation.benchmarks=[]",
    "checkpoint.interval_steps=5",
]


def sentences(generator: random.Random, count: int) -> str:
    """Text with some order in it: a small grammar of invented words."""
    words = ["".join(generator.choices("abdeghiklmnoprstuvz", k=generator.randint(2, 9))) for _ in range(40)]
    return " ".join(generator.choice(words) + generator.choice(["", "", ",", "."]) for _ in range(count))


def write_tokenized(folder: Path) -> None:
    """A tokenized folder as the stage writes it: web and code, training and held-out, vocabulary 768."""
    from altiplano.tokens.shards import ShardWriter, token_dtype, write_list
    from altiplano.tokens.tokenizer import Tokenizer

    generator = random.Random(0)
    texts = [sentences(generator, generator.randint(20, 200)) for _ in range(120)]
    tokenizer = Tokenizer.train(texts, 768)
    (folder / "tokenizer").mkdir(parents=True)
    tokenizer.save(folder / "tokenizer")
    shards = []
    for split, share in (("train", texts[:100]), ("heldout", texts[100:])):
        for number, (domain, language) in enumerate([("code", "code"), ("web", "en")]):
            writer = ShardWriter(folder / split / f"{domain}.{language}", token_dtype(768))
            for text in share[number::2]:
                writer.add([tokenizer.bos, *tokenizer.encode(text), tokenizer.eos], len(text.encode()))
            shards.append(writer.close(split, domain, language))
    write_list(folder, shards, 768)
