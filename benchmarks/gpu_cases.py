"""One measurement of ``benchmarks/gpu.py`` in a process of its own: a JSON case as its argument, a JSON line as answer.

Weights are drawn on the device, since only speed is asked for. A step is a whole one: forward, backward, clipping at
1.0, fused AdamW on float32 weights, products in bfloat16, one row of 8,192 tokens a micro-batch.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import torch
from sizes import random_batch
from torch import nn

from altiplano.planning.model_size import parameters, training_flops_per_token
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.tokens.loader import Batch
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.accounting.peak import datasheet_peak, matmul_peak

SEQUENCE = 8192
WARM_UP = 3
CUDA = torch.device("cuda")
MOST_LAYERS = 12  # more only take longer
# layers (0: as many as fit), width, heads, key and value heads, intermediate size, tied embeddings
SHAPES = {
    "1B": (16, 2048, 32, 8, 8192, True),  # Llama 3.2 1B
    "8B slice": (0, 4096, 32, 8, 14_336, False),  # Llama 3.1 8B
}
VOCABULARY = 128_256
# Bytes of each parameter: float32 weights, two moments, gradients, the copy that the compiled ones are compared with,
# and bfloat16 weights; and for each layer of activations and for the logits.
BYTES, LAYER_BYTES, LOGIT_BYTES = 22, 1.8e9, 10e9


def recipe_of(shape: str, rows: int, *more: str) -> Recipe:
    layers, width, heads, kv_heads, intermediate, tied = SHAPES[shape]
    if not layers:
        layer = width * (2 * width + 2 * width * kv_heads // heads + 3 * intermediate)
        room = 0.95 * torch.cuda.get_device_properties(CUDA).total_memory - LOGIT_BYTES - 2 * VOCABULARY * width * BYTES
        layers = max(1, min(MOST_LAYERS, int(room / (layer * BYTES + LAYER_BYTES))))
    keys = {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": intermediate,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": str(tied).lower(),
    }
    overrides = [f"model.{key}={value}" for key, value in keys.items()]
    overrides += [f"batch.sequence_length={SEQUENCE}", f"batch.tokens={rows * SEQUENCE}"]
    overrides += [f"batch.total_tokens={1000 * rows * SEQUENCE}", "optimizer.learning_rate=1e-4"]
    overrides += ["optimizer.warmup_steps=0", "precision.compute=bfloat16"]
    return load_recipe("quickstart", [*overrides, *more])


@torch.no_grad()
def draw(module: nn.Module) -> None:
    for parameter in module.parameters():
        parameter.fill_(1.0) if parameter.ndim == 1 else parameter.normal_(0, 0.02)


def altiplano(recipe: Recipe, words: str) -> Callable[[Batch], float]:
    """Our trainer's own step on one GPU. ``words`` of the layout: compile, recompute-full, recompute-selective, hcN."""
    from altiplano.parallel.mesh import start_mesh
    from altiplano.parallel.parallelize import parallelize, parameters_by_name
    from altiplano.training.loss import token_losses
    from altiplano.training.optimizer import clip_gradient, make_optimizer

    layout = parse_layout("dp1.mb1" + words)
    mesh = start_mesh(layout, "cuda")
    model = parallelize(recipe, layout, mesh, token_losses(mesh.group("tp")), initial=False)
    for part in model.parts:
        draw(part)
    weights = parameters_by_name(model.parts)
    optimizer = make_optimizer(weights, recipe.optimizer)

    def step(batch: Batch) -> float:
        loss = float(model.step(batch, len(batch.tokens), batch.valid))
        clip_gradient(weights.values(), recipe.optimizer.max_grad_norm, mesh)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    return step


def transformers(recipe: Recipe, words: str) -> Callable[[Batch], float]:
    """LlamaForCausalLM as a plain loop trains it: autocast, SDPA, its own loss, micro-batches of one row, fused AdamW.
    ``.compile``: the whole model; ``.recompute-full``: its gradient checkpointing."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from altiplano.model.weights import hugging_face_config

    config = LlamaConfig(**hugging_face_config(recipe.model, SEQUENCE, bos=1, eos=2), attn_implementation="sdpa")
    with CUDA:
        plain = LlamaForCausalLM(config).float().train()
    draw(plain)
    if "recompute-full" in words:
        plain.gradient_checkpointing_enable({"use_reentrant": False})
    model = torch.compile(plain) if "compile" in words else plain
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)

    def step(batch: Batch) -> float:
        rows = len(batch.tokens)
        total = torch.zeros((), device=CUDA)
        for row in range(rows):
            tokens, targets = batch.tokens[row : row + 1], batch.targets[row : row + 1]
            with torch.autocast("cuda", torch.bfloat16):
                loss = model(input_ids=tokens, labels=targets, shift_labels=targets, use_cache=False).loss / rows
            loss.backward()
            total += loss.detach()
        nn.utils.clip_grad_norm_(plain.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(total)

    return step


CONTENDERS = {"altiplano": altiplano, "transformers": transformers}


def train(case: dict[str, Any]) -> dict[str, Any]:
    recipe = recipe_of(case["shape"], case["rows"], *case.get("set", ()))
    documents = case.get("documents", False)
    batches = [random_batch(recipe, number, documents).to(CUDA) for number in range(2)]
    begun = time.perf_counter()
    step = CONTENDERS[case["contender"]](recipe, case["words"])
    losses = [step(batches[number % 2]) for number in range(WARM_UP)]
    torch.cuda.synchronize()
    started = time.perf_counter() - begun
    seconds: list[float] = []
    while len(seconds) < 4 or (sum(seconds) < case["seconds"] and len(seconds) < 30):
        now = time.perf_counter()
        step(batches[len(seconds) % 2])
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - now)
    median, tokens = statistics.median(seconds), case["rows"] * SEQUENCE
    flops = training_flops_per_token(recipe.model, SEQUENCE) * tokens / median
    found = {
        "parameters": parameters(recipe.model),
        "layers": recipe.model.num_hidden_layers,
        "first_loss": losses[0],
        "steps": len(seconds),
        "step_seconds": median,
        "step_seconds_spread": [min(seconds), max(seconds)],
        "start_seconds": started,
        "tokens_per_second": tokens / median,
        "model_flops_per_second": flops,
        "memory_bytes": torch.cuda.max_memory_allocated(),
    }
    if case.get("profile"):
        found["profile"] = profiled(lambda: step(batches[0]))
    return found


def profiled(step: Callable[[], Any]) -> dict[str, Any]:
    """Where one step's time goes on the device: the twenty dearest kernels, and how long it had nothing to do."""
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    begun = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recording:
        step()
        torch.cuda.synchronize()
    wall = time.perf_counter() - begun
    on_device = [one for one in recording.events() if str(one.device_type).endswith("CUDA")]
    kernels = [one for one in on_device if not one.name.startswith(("FSDP::", "Optimizer.", "nccl:"))]  # not: spans
    spans = sorted((one.time_range.start, one.time_range.end) for one in kernels)
    busy, end = 0.0, float("-inf")
    for start, stop in spans:
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    total: dict[str, list[float]] = {}
    for one in kernels:
        entry = total.setdefault(one.name[:90], [0.0, 0])
        entry[0] += one.time_range.end - one.time_range.start
        entry[1] += 1
    dearest = sorted(total.items(), key=lambda item: -item[1][0])[:25]
    return {
        "wall_ms": wall * 1e3,
        "span_ms": (spans[-1][1] - spans[0][0]) / 1e3,
        "busy_ms": busy / 1e3,
        "kernels": [[name, round(time_us / 1e3, 2), count] for name, (time_us, count) in dearest],
    }


def generate(case: dict[str, Any]) -> dict[str, Any]:
    """Tokens a second with a cache, of prompts of 128 tokens."""
    from altiplano.inference.generate import Row, Sampling, stream
    from altiplano.model.llama import Llama

    shape = recipe_of(case["shape"], 1).model
    with torch.device("meta"):
        model = Llama(shape)
    model = model.to_empty(device=CUDA).to(getattr(torch, case["precision"])).eval()
    assert model.lm_head is not None and model.embed_tokens is not None
    if shape.tie_word_embeddings:
        model.lm_head.weight = model.embed_tokens.weight
    draw(model)
    # What a token says takes no time beside the model; this one's vocabulary has no text.
    tokenizer = cast(Tokenizer, SimpleNamespace(eos=-1, decode_bytes=lambda tokens: b"word "))
    rates = []
    for _ in range(2):
        rows = [
            Row([1 + (place * 7 + row) % 1000 for place in range(128)], Sampling(64)) for row in range(case["rows"])
        ]
        begun, steps = 0.0, 0
        for _ in stream(model, tokenizer, rows):
            if not steps:  # the prompt
                torch.cuda.synchronize()
                begun = time.perf_counter()
            steps += 1
        torch.cuda.synchronize()
        rates.append((steps - 1) * case["rows"] / (time.perf_counter() - begun))
    return {
        "parameters": parameters(shape),
        "tokens_per_second": max(rates),
        "memory_bytes": torch.cuda.max_memory_allocated(),
    }


def peak(case: dict[str, Any]) -> dict[str, Any]:
    source = torch.randn(2**29, device=CUDA)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(10):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begun)
    return {
        "datasheet_bf16_flops": datasheet_peak(CUDA, torch.bfloat16),
        "measured_bf16_flops": matmul_peak(CUDA, torch.bfloat16, 1.0),
        "measured_float32_flops": matmul_peak(CUDA, torch.float32, 1.0),
        "copy_bytes_per_second": 2 * source.nbytes / best,
    }


KINDS = {"train": train, "generate": generate, "peak": peak}


def main() -> None:
    case = json.loads(sys.argv[1])
    answer = KINDS[case["kind"]](case)
    print(json.dumps(answer), flush=True)
    os._exit(0)  # process groups sometimes abort while an interpreter shuts down


if __name__ == "__main__":
    main()
