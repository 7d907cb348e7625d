"""Tensor parallelism with sequence parallelism (Shoeybi et al. 2019; Korthikanti et al. 2022), applied from outside.

Each rank holds its share of every matrix: columns of q, k, v, gate, up and the head, rows of o and down and the
embedding. Between the matrices the activations are split along the sequence, so the norms' work is shared too: the
tokens of all rows one after the other, [rows · tokens, width], are split along their first dimension, as ranks send and
receive them without copying (along the second every gather and reduction moved the whole of them once more). The
head's logits stay split over the vocabulary; ``altiplano.training.loss`` reduces them without gathering.
"""

from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from altiplano.model.llama import Llama

TOKENS, VOCABULARY = Shard(0), Shard(-1)


def split_tensors(model: Llama, mesh: DeviceMesh, head_gives_losses: bool = False) -> None:
    """Split ``model`` over the one-dimensional ``mesh``. Losses of a head that gives them are whole on every rank."""
    edges: dict[str, ParallelStyle] = {}
    if model.embed_tokens is not None:
        model.embed_tokens.register_forward_pre_hook(lambda module, arguments: (arguments[0].flatten(),))
        edges["embed_tokens"] = RowwiseParallel(input_layouts=Replicate(), output_layouts=TOKENS)
    if model.norm is not None:
        edges["norm"] = SequenceParallel(sequence_dim=0)
        output = Replicate() if head_gives_losses else VOCABULARY
        edges["lm_head"] = ColwiseParallel(input_layouts=TOKENS, output_layouts=output)
    parallelize_module(model, mesh, edges)
    for block in model.layers.values():
        parallelize_module(
            block,
            mesh,
            {
                "input_layernorm": SequenceParallel(sequence_dim=0),
                "self_attn": PrepareModuleInput(
                    input_layouts=(TOKENS, None, None, None, None),
                    desired_input_layouts=(Replicate(), None, None, None, None),
                ),
                "self_attn.q_proj": ColwiseParallel(),
                "self_attn.k_proj": ColwiseParallel(),
                "self_attn.v_proj": ColwiseParallel(),
                "self_attn.o_proj": RowwiseParallel(output_layouts=TOKENS),
                "post_attention_layernorm": SequenceParallel(sequence_dim=0),
                "mlp": PrepareModuleInput(input_layouts=(TOKENS,), desired_input_layouts=(Replicate(),)),
                "mlp.gate_proj": ColwiseParallel(),
                "mlp.up_proj": ColwiseParallel(),
                "mlp.down_proj": RowwiseParallel(output_layouts=TOKENS),
            },
        )
