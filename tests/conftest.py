"""Fixtures that several rooms share: a small recipe and a tokenized folder of made-up text."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import settings
from small import SMALL

from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe

# Test processes share the cores: one thread each, or they wait for one another.
os.environ["OMP_NUM_THREADS"] = "1"

# Two busy cores are no ground for deadlines.
settings.register_profile("altiplano", deadline=None)
settings.load_profile("altiplano")


@pytest.fixture(scope="session")
def small_recipe() -> Recipe:
    """Ten steps of sixteen sequences; a four-layer model that trains in a second."""
    return load_recipe("quickstart", SMALL)


def sentences(generator: random.Random, count: int) -> str:
    """Text with some order in it: a small grammar of invented words."""
    words = ["".join(generator.choices("abdeghiklmnoprstuvz", k=generator.randint(2, 9))) for _ in range(40)]
    return " ".join(generator.choice(words) + generator.choice(["", "", ",", "."]) for _ in range(count))


@pytest.fixture(scope="session")
def tokenized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenized folder as the stage writes it: web and code shards, training and held-out, vocabulary 768."""
    from altiplano.tokens.shards import ShardWriter, token_dtype, write_list
    from altiplano.tokens.tokenizer import Tokenizer

    folder = tmp_path_factory.mktemp("tokenized")
    generator = random.Random(0)
    texts = [sentences(generator, generator.randint(20, 200)) for _ in range(120)]
    tokenizer = Tokenizer.train(texts, 768)
    (folder / "tokenizer").mkdir()
    tokenizer.save(folder / "tokenizer")
    shards = []
    for split, share in (("train", texts[:100]), ("heldout", texts[100:])):
        for number, (domain, language) in enumerate([("code", "code"), ("web", "en")]):
            writer = ShardWriter(folder / split / f"{domain}.{language}", token_dtype(768))
            for text in share[number::2]:
                writer.add([tokenizer.bos, *tokenizer.encode(text), tokenizer.eos], len(text.encode()))
            shards.append(writer.close(split, domain, language))
    write_list(folder, shards, 768)
    return folder
