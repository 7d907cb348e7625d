"""A made-up run with every record of docs/reference/file-formats.md: small numbers, real files, a tiny model."""

import hashlib
import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_verdicts import GROUPS, write, write_calibrate, write_evaluate, write_redteam

from altiplano.model.initial_weights import initial_value
from altiplano.model.llama import Llama
from altiplano.model.safetensors_files import save_weights
from altiplano.model.weights import hugging_face_config
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import ModelConfig, Recipe
from altiplano.records import StageManifest, StageMeasurements
from altiplano.records.run_records import STAGES
from altiplano.tokens.shards import ShardWriter, token_dtype, write_list
from altiplano.tokens.tokenizer import Tokenizer

RECIPE = """\
name = "tiny"
seed = 7

[model]
num_hidden_layers = 2
hidden_size = 64
num_attention_heads = 4
num_key_value_heads = 2
intermediate_size = 128
vocab_size = 640

[[corpus.sources]]
name = "pages"
domain = "web"
format = "text"
path = "*.txt"

[batch]
tokens = 4096
sequence_length = 128
total_tokens = "1638400"

[optimizer]
learning_rate = 3e-3
min_learning_rate = 3e-4
warmup_steps = 20

[disclosure]
title = "A tiny model of mountains"
country = "USA"
year = 2024
license = "Apache-2.0"
hardware = "NVIDIA H100"
devices = 2048
months = 4
device_hours = "50M"
"""
TEXT = "The high plain lies between two chains of mountains; llamas graze there, and the wind counts the grass. "
STARTED = {stage: f"2026-11-23T0{hour}:00:00+00:00" for hour, stage in enumerate(STAGES)}


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    words = [f"{TEXT} plateau{n} stone{n * 7 % 97} river{n * 13 % 89}" for n in range(400)]
    return Tokenizer.train(words, 640)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(name="laptop", device="cpu", devices=1, watts_per_device=45.0, pue=1.2, country="FRA")


@pytest.fixture
def make_run(tmp_path: Path, tokenizer: Tokenizer) -> Callable[..., Path]:
    """make_run(stages) → workspace with those stages' folders (all but release by default)."""

    def make(stages: tuple[str, ...] = STAGES[:-1], name: str = "tiny", passed: bool = True) -> Path:
        workspace = tmp_path / name
        workspace.mkdir()
        (workspace / "recipe.toml").write_text(RECIPE)
        recipe = load_recipe(str(workspace / "recipe.toml"))
        writers: dict[str, Callable[[Path], None]] = {
            "curate": write_curate,
            "tokenize": lambda folder: write_tokenize(folder, tokenizer),
            "train": lambda folder: write_train(folder, recipe.model, tokenizer),
            "evaluate": write_evaluate,
            "calibrate": write_calibrate,
            "redteam": lambda folder: write_redteam(folder, passed),
        }
        hashes: dict[str, str] = {}
        for stage in stages:
            folder = workspace / stage
            folder.mkdir()
            writers[stage](folder)
            hashes[stage] = write_manifest(folder, stage, hashes)
        return workspace

    return make


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    file = tmp_path / "recipe.toml"
    file.write_text(RECIPE)
    return load_recipe(str(file))


def write_manifest(folder: Path, stage: str, inputs: dict[str, str]) -> str:
    digest = hashlib.sha256(stage.encode()).hexdigest()
    names = [path for path in folder.rglob("*") if path.is_file()]
    measured = StageMeasurements(
        wall_seconds={"curate": 42.0, "tokenize": 9.5, "train": 3725.0}.get(stage, 12.25),
        peak_memory_bytes=(1 + STAGES.index(stage)) * 200 * 2**20,
        started=STARTED[stage],
        ended=STARTED[stage].replace(":00:00+", ":40:00+"),
        machine="test machine",
    )
    manifest = StageManifest(
        stage=stage,
        version="0.1.0",
        recipe={},
        inputs=dict(inputs),
        outputs={str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in names},
        counts={},
        hash=digest,
        measured=measured,
    )
    manifest.write(folder / "manifest.json")
    return digest


def write_curate(folder: Path) -> None:
    reasons = {"duplicate": 410, "near-duplicate": 150, "too short": 230, "repetitive": 60, "perplexity": 120}
    dropped = [
        {"reason": reason, "domain": d, "language": g, "documents": n // (2 + i), "bytes": n * 900 // (2 + i)}
        for reason, n in reasons.items()
        for i, (d, g) in enumerate(GROUPS)
    ]
    lost = {
        reason: [sum(r[k] for r in dropped if r["reason"] == reason) for k in ("documents", "bytes")]
        for reason in reasons
    }
    documents, size = 4000, 9_000_000
    funnel = [{"step": "read", "documents": documents, "bytes": size}]
    for reason, (fewer, smaller) in lost.items():
        documents, size = documents - fewer, size - smaller
        funnel.append({"step": f"after {reason}", "documents": documents, "bytes": size})
    kept = [
        {"domain": d, "language": g, "split": s, "documents": n // (1 + i), "bytes": n * 2200 // (1 + i)}
        for i, (d, g) in enumerate(GROUPS)
        for s, n in (("train", 1000), ("heldout", 24))
    ]
    audit = {
        "raw": {"documents": 4000, "bytes": 9_000_000},
        "funnel": funnel,
        "dropped": dropped,
        "kept": kept,
        "personal_data": {"email": 132, "phone": 41, "ip": 12, "iban": 3, "card": 1},
        "bad_records": [{"source": "pages", "reason": "not UTF-8", "count": 2, "example": "pages/7.txt: byte 0xff"}],
        "examples": [
            example("too short", "Home | About | <b>Login</b>", value=31, limit=200),
            example("too short", "A page of just enough words", kept=True, value=204, limit=200),
            example("repetitive", "buy now! " * 40),
            example("perplexity", "zxq fjord\nvex qqq 0x00", language="de", value=81234.5),
        ],
        "groups": [
            {"group": f"{d}.{g}", "documents": [900 // (i + 1) - 90 * n // (i + 1) for n in range(len(funnel))]}
            for i, (d, g) in enumerate(GROUPS)
        ],
        "thresholds": {
            "trusted_share": 0.98,
            "general": [
                {"column": "short_lines", "largest": True, "limit": 0.67},
                {"column": "stop_words", "largest": False, "limit": 2.0},
            ],
            "groups": [
                {"domain": "web", "language": "de", "basis": "de", "trusted": 142, "limits": {"short_lines": 0.8123}},
                {"domain": "web", "language": "en", "basis": "general", "trusted": 0, "limits": {}},
            ],
        },
        "untranslated": [
            {
                "source": "pages",
                "declared": "de",
                "documents": 190,
                "translated": 7,
                "english": 183,
                "mixed": 2,
                "kept": 100,
                "pages": [{"url": "de/about.md", "text": "Still <i>English</i>", "fate": "near duplicate"}],
            }
        ],
    }
    write(folder / "audit.json", audit)


def example(reason: str, text: str, kept: bool = False, language: str = "en", **numbers: float) -> dict:  # type: ignore[type-arg]
    about = {"reason": reason, "kept": kept, "text": text, "url": "", "source": "pages", "language": language}
    return {**about, "value": None, "limit": None, **numbers}


def write_tokenize(folder: Path, tokenizer: Tokenizer) -> None:
    (folder / "tokenizer").mkdir()
    tokenizer.save(folder / "tokenizer")
    shards = []
    for split, copies in (("train", 12), ("heldout", 2)):
        for i, (domain, language) in enumerate(GROUPS):
            writer = ShardWriter(folder / split / f"{domain}.{language}", token_dtype(tokenizer.vocab_size))
            for n in range(copies * (5 - i)):
                text = TEXT * (1 + n % 3)
                writer.add([tokenizer.bos, *tokenizer.encode(text), tokenizer.eos], len(text.encode()))
            shards.append(writer.close(split, domain, language))
    write_list(folder, shards, tokenizer.vocab_size)


def write_train(folder: Path, shape: ModelConfig, tokenizer: Tokenizer) -> None:
    weights = folder / "weights"
    weights.mkdir()
    model = Llama(shape)
    named = [(name, initial_value(name, value.shape, shape, seed=7)) for name, value in model.named_parameters()]
    save_weights(named, weights)
    write(weights / "config.json", hugging_face_config(shape, 128, tokenizer.bos, tokenizer.eos))
    noise = random.Random(0)
    with (folder / "metrics.jsonl").open("w") as metrics:
        for step in range(1, 401):
            loss = 2.1 + 4.6 * math.exp(-step / 60) + noise.gauss(0, 0.05)
            line = {
                "step": step,
                "tokens": step * 4096,
                "loss": loss,
                "gradient_norm": math.nan if step == 37 else 0.5 + 3 / step**0.5 + abs(noise.gauss(0, 0.1)),
                "learning_rate": 3e-3 * min(step / 20, 0.55 + 0.45 * math.cos(math.pi * step / 400)),
                "seconds": 0.5,
                "tokens_per_second": 8000 + noise.gauss(0, 150) - (3000 if step in (150, 151) else 0),
                "mfu": 0.52 + noise.gauss(0, 0.01),
                "data_seconds": 0.004,
                "memory_bytes": 420_000_000,
            }
            metrics.write(json.dumps(line) + "\n")
    with (folder / "heldout.jsonl").open("w") as heldout:
        for step in range(0, 401, 40):
            groups = {}
            for i, (domain, language) in enumerate(GROUPS):
                bits = 1.25 + 0.17 * i + 2.4 * math.exp(-step / 80)
                groups[f"{domain}.{language}"] = {
                    "nll": bits * 3000 * math.log(2),
                    "tokens": 900,
                    "bytes": 3000,
                    "perplexity": math.exp(bits * 3000 * math.log(2) / 900),
                    "bits_per_byte": bits,
                }
            total = {
                "nll": 1.0,
                "tokens": 4500,
                "bytes": 15000,
                "perplexity": 9.0,
                "bits_per_byte": 1.6 + 2.4 * math.exp(-step / 80),
            }
            heldout.write(json.dumps({"step": step, "tokens": step * 4096, "groups": groups, "total": total}) + "\n")
    run = {
        "parameters": model.shape.vocab_size * 64 * 2 + 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128 + 128) + 64,
        "tokens": 400 * 4096,
        "steps": 400,
        "world_size": 2,
        "layout": "dp2.tp1.pp1",
        "device": "cpu",
        "device_name": "test CPU",
        "seconds": 3600.0,
        "restarts": 1,
        "matmul_peak_flops": 1.1e11,
        "flops_per_token": 8.4e5,
        "mfu": 0.52,
        "sessions": [
            {
                "started": "2026-11-23T02:00:00+00:00",
                "ended": "2026-11-23T02:25:00+00:00",
                "seconds": 1500.0,
                "first_step": 1,
                "last_step": 150,
            },
            {
                "started": "2026-11-23T02:26:00+00:00",
                "ended": "2026-11-23T03:01:00+00:00",
                "seconds": 2100.0,
                "first_step": 151,
                "last_step": 400,
            },
        ],
    }
    write(folder / "run.json", run)
