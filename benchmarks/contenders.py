"""One contender of ``benchmarks/training.py`` in a process of its own: it answers each line of input with one step.

All contenders start from the same weights, see the same batches and do one whole optimizer step: forward, backward,
clipping at 1.0, fused AdamW on float32 weights, matrix products in bfloat16 (", float32": in float32).
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from sizes import BATCHES, CLOCKS, benchmark_recipe, random_batch
from torch import Tensor, nn

from altiplano.model.initial_weights import initial_value
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import ModelConfig, Recipe
from altiplano.tokens.loader import Batch
from altiplano.training.metrics import memory_bytes

Step = Callable[[Batch], float]


def altiplano(recipe: Recipe, device: str) -> Step:
    """Our trainer's own step on layout dp1."""
    from altiplano.parallel.mesh import start_mesh
    from altiplano.parallel.parallelize import parallelize, parameters_by_name
    from altiplano.training.accounting.hardware import keep_freed_memory
    from altiplano.training.loss import token_losses
    from altiplano.training.optimizer import clip_gradient, make_optimizer

    keep_freed_memory()
    layout = Layout()
    mesh = start_mesh(layout, device)
    model = parallelize(recipe, layout, mesh, token_losses(mesh.group("tp")))
    parameters = parameters_by_name(model.parts)
    optimizer = make_optimizer(parameters, recipe.optimizer)

    def step(batch: Batch) -> float:
        loss = float(model.step(batch, len(batch.tokens), batch.valid))
        clip_gradient(parameters.values(), recipe.optimizer.max_grad_norm, mesh)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    return step


def transformers(recipe: Recipe, device: str, autocast: bool = True) -> Step:
    """LlamaForCausalLM with its best stock settings: autocast, SDPA without a mask, fused AdamW, its own loss."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from altiplano.model.weights import hugging_face_config

    config = hugging_face_config(recipe.model, recipe.batch.sequence_length, bos=1, eos=2)
    model = LlamaForCausalLM(LlamaConfig(**config, attn_implementation="sdpa")).float().to(device).train()
    set_weights(((name.removeprefix("model."), p) for name, p in model.named_parameters()), recipe)

    def loss(batch: Batch) -> Tensor:
        answer = model(
            input_ids=batch.tokens, labels=batch.targets, shift_labels=batch.targets, use_cache=False, return_dict=True
        )
        return answer.loss

    return loop_step(model, loss, recipe, device, autocast)


def plain_loop(recipe: Recipe, device: str, autocast: bool = True) -> Step:
    """The loop that nanoGPT made popular: a plain module, autocast, SDPA, one cross-entropy, fused AdamW."""
    model = PlainLlama(recipe.model, recipe.batch.sequence_length).to(device)
    set_weights(model.named_parameters(), recipe)

    def loss(batch: Batch) -> Tensor:
        logits = model(batch.tokens)
        return F.cross_entropy(logits.flatten(0, 1).float(), batch.targets.flatten(), ignore_index=-100)

    return loop_step(model, loss, recipe, device, autocast)


def litgpt(recipe: Recipe, device: str, autocast: bool = True) -> Step:
    """Lightning AI's GPT class, where it is installed, in the same loop as the plain one."""
    from litgpt import GPT, Config

    shape = recipe.model
    config = Config(
        block_size=recipe.batch.sequence_length,
        n_layer=shape.num_hidden_layers,
        n_embd=shape.hidden_size,
        n_head=shape.num_attention_heads,
        n_query_groups=shape.num_key_value_heads,
        vocab_size=shape.vocab_size,
        padded_vocab_size=shape.vocab_size,
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        rms_norm_eps=shape.rms_norm_eps,
        mlp_class_name="LLaMAMLP",
        intermediate_size=shape.intermediate_size,
        rope_base=int(shape.rope_theta),
    )
    model = GPT(config).to(device)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            our_name = name
            for theirs, ours in LITGPT_NAMES.items():
                our_name = our_name.replace(theirs, ours)
            parts, sizes = [our_name], [parameter.shape]
            if "qkv" in our_name:
                parts = [our_name.replace("qkv", f"{kind}_proj") for kind in ("q", "k", "v")]
                heads = (shape.num_attention_heads, shape.num_key_value_heads, shape.num_key_value_heads)
                sizes = [torch.Size([shape.head_dim * count, shape.hidden_size]) for count in heads]
            values = [initial_value(*part, shape, recipe.seed) for part in zip(parts, sizes, strict=True)]
            parameter.copy_(torch.cat(values))

    def loss(batch: Batch) -> Tensor:
        logits = model(batch.tokens)
        return F.cross_entropy(logits.flatten(0, 1).float(), batch.targets.flatten(), ignore_index=-100)

    return loop_step(model, loss, recipe, device, autocast)


LITGPT_NAMES = {
    "transformer.wte": "embed_tokens",
    "transformer.ln_f": "norm",
    "transformer.h": "layers",
    "norm_1": "input_layernorm",
    "norm_2": "post_attention_layernorm",
    "attn.proj": "self_attn.o_proj",
    "attn.qkv": "self_attn.qkv",
    "mlp.fc_1": "mlp.gate_proj",
    "mlp.fc_2": "mlp.up_proj",
    "mlp.proj": "mlp.down_proj",
}


def loop_step(
    model: nn.Module, loss_of: Callable[[Batch], Tensor], recipe: Recipe, device: str, autocast: bool
) -> Step:
    settings, parameters = recipe.optimizer, list(model.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.eps,
        fused=True,
    )

    def step(batch: Batch) -> float:
        with torch.autocast(device, torch.bfloat16, enabled=autocast):
            loss = loss_of(batch)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    return step


@torch.no_grad()
def set_weights(named: Iterator[tuple[str, nn.Parameter]], recipe: Recipe) -> None:
    for name, parameter in named:
        parameter.copy_(initial_value(name, parameter.shape, recipe.model, recipe.seed))


class PlainBlock(nn.Module):
    def __init__(self, shape: ModelConfig):
        super().__init__()
        self.heads, self.num_key_value_heads, self.width = (
            shape.num_attention_heads,
            shape.num_key_value_heads,
            shape.head_dim,
        )
        self.input_layernorm = nn.RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        kv_width = shape.num_key_value_heads * shape.head_dim
        self.self_attn = nn.ModuleDict(
            {
                "q_proj": nn.Linear(shape.hidden_size, shape.hidden_size, bias=False),
                "k_proj": nn.Linear(shape.hidden_size, kv_width, bias=False),
                "v_proj": nn.Linear(shape.hidden_size, kv_width, bias=False),
                "o_proj": nn.Linear(shape.hidden_size, shape.hidden_size, bias=False),
            }
        )
        self.mlp = nn.ModuleDict(
            {
                "gate_proj": nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False),
                "up_proj": nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False),
                "down_proj": nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False),
            }
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        rows, tokens, _ = x.shape
        attention, mlp, y = self.self_attn, self.mlp, self.input_layernorm(x)
        q = attention["q_proj"](y).view(rows, tokens, self.heads, self.width).transpose(1, 2)
        k = attention["k_proj"](y).view(rows, tokens, self.num_key_value_heads, self.width).transpose(1, 2)
        v = attention["v_proj"](y).view(rows, tokens, self.num_key_value_heads, self.width).transpose(1, 2)
        q, k = (t * cos + torch.cat([-t[..., self.width // 2 :], t[..., : self.width // 2]], -1) * sin for t in (q, k))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + attention["o_proj"](y.transpose(1, 2).reshape(rows, tokens, -1))
        y = self.post_attention_layernorm(x)
        return x + mlp["down_proj"](F.silu(mlp["gate_proj"](y)) * mlp["up_proj"](y))


class PlainLlama(nn.Module):
    def __init__(self, shape: ModelConfig, sequence: int):
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList([PlainBlock(shape) for _ in range(shape.num_hidden_layers)])
        self.norm = nn.RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.lm_head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)
        frequencies = shape.rope_theta ** -(torch.arange(0, shape.head_dim, 2) / shape.head_dim)
        angles = torch.outer(torch.arange(sequence), torch.cat([frequencies, frequencies]))
        self.register_buffer("cos", angles.cos().bfloat16(), persistent=False)
        self.register_buffer("sin", angles.sin().bfloat16(), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed_tokens(tokens)
        for block in self.layers:
            x = block(x, self.cos, self.sin)
        return self.lm_head(self.norm(x))


CONTENDERS: dict[str, Callable[[Recipe, str], Step]] = {
    "altiplano": altiplano,
    "altiplano, documents": altiplano,
    "transformers": transformers,
    "plain loop": plain_loop,
    "litgpt": litgpt,
    "transformers, float32": partial(transformers, autocast=False),
    "plain loop, float32": partial(plain_loop, autocast=False),
    "litgpt, float32": partial(litgpt, autocast=False),
}


def main() -> None:
    """Arguments: contender, size, sequence length, sequences per step, device, clock. A line of input is a step."""
    name, size, sequence, rows, device, clock = *sys.argv[1:3], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:]
    now = CLOCKS[clock]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is not an answer
    recipe = benchmark_recipe(size, sequence, rows)
    documents = "documents" in name
    batches = [random_batch(recipe, number, documents).to(torch.device(device)) for number in range(BATCHES)]
    step = CONTENDERS[name](recipe, device)
    for line in sys.stdin:
        batch = batches[int(line) % BATCHES]
        start = now()
        loss = step(batch)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds = now() - start
        memory = memory_bytes(torch.device(device))
        print(json.dumps({"seconds": seconds, "loss": loss, "memory": memory}), file=answers)
    os._exit(0)


if __name__ == "__main__":
    main()
