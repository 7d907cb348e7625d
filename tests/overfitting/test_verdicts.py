"""A model that was overfitted on purpose is flagged, and its twin, which saw every text once, is not."""

import random
from pathlib import Path

import pytest
import torch
from small import SMALL

from altiplano.evaluation.evaluate import score_folder, summarise_folder
from altiplano.overfitting.judge import judge
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.records import Overfitting
from altiplano.tokens.shards import ShardWriter, token_dtype, write_list
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.callbacks import Custom
from altiplano.training.job import Job
from altiplano.training.worker import run_job_here

STEPS = 120
SETTINGS = [
    *SMALL,
    "model.num_hidden_layers=2",
    f"batch.total_tokens={STEPS * 1024}",
    "evaluation.interval_steps=10",
    "evaluation.max_tokens=4096",
    "checkpoint.interval_steps=120",
]


def sentences(generator: random.Random, words: list[str], count: int) -> str:
    """Each word has a few that may follow it."""
    said, at = [], generator.randrange(len(words))
    for _ in range(count):
        said.append(words[at])
        at = (at * 7 + generator.choice((1, 3, 11, 30))) % len(words)
    return " ".join(said)


def trained(folder: Path, documents: int, seed: int) -> Overfitting:
    generator = random.Random(seed)
    words = ["".join(generator.choices("abdeghiklmnoprstuvz", k=generator.randint(3, 7))) for _ in range(150)]
    tokens, run = folder / "tokenize", folder / "train"
    tokenizer = Tokenizer.train([sentences(generator, words, 4000)], 768)
    (tokens / "tokenizer").mkdir(parents=True)
    tokenizer.save(tokens / "tokenizer")
    shards = []
    for split, count in (("train", documents), ("heldout", 40)):
        writer = ShardWriter(tokens / split / "web.en", token_dtype(768))
        for _ in range(count):
            text = sentences(generator, words, 60)
            writer.add([tokenizer.bos, *tokenizer.encode(text), tokenizer.eos], len(text.encode()))
        shards.append(writer.close(split, "web", "en"))
    write_list(tokens, shards, 768)
    recipe = load_recipe("quickstart", [*SETTINGS, f"seed={seed}"])
    run.mkdir()
    job = Job(recipe=recipe, layout=parse_layout("dp1"), device="cpu", tokens=tokens, folder=run)
    run_job_here(job, Custom((), None, None))
    scores = score_folder(run / "weights", tokens, sequence=recipe.batch.sequence_length, seed=seed)
    return judge(recipe, tokens, run, summarise_folder(scores, recipe.evaluation, seed), scores, (), ())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_an_overfitted_model_is_flagged_and_its_twin_is_not(seed: int, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    twin, overfitted = trained(tmp_path / "twin", 1500, seed), trained(tmp_path / "overfitted", 12, seed)
    verdicts = [{test.test: test.verdict for test in found.tests} for found in (twin, overfitted)]
    assert verdicts[0]["gap"] == "not shown" and verdicts[0]["trend"] == "not shown"
    assert verdicts[1]["gap"] == "shown" and verdicts[1]["trend"] == "shown"
    assert overfitted.rises
