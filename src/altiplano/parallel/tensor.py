"""Tensor parallelism with sequence parallelism (Shoeybi et al. 2019; Korthikanti et al. 2022), applied from outside.

Each rank holds its share of every matrix: columns of q, k, v, gate, up and the head, rows of o and down and the
embedding. Between the matrices the activations are split along the sequence, so the norms' work is shared too. The
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

SEQUENCE, VOCABULARY = Shard(1), Shard(-1)


def split_tensors(model: Llama, mesh: DeviceMesh, head_gives_losses: bool = False) -> None:
    """Split ``model`` over the one-dimensional ``mesh``. Losses of a head that gives them are whole on every rank."""
    edges: dict[str, ParallelStyle] = {}
    if model.embed_tokens is not None:
        edges["embed_tokens"] = RowwiseParallel(input_layouts=Replicate(), output_layouts=SEQUENCE)
    if model.norm is not None:
        edges["norm"] = SequenceParallel()
        output = Replicate() if head_gives_losses else VOCABULARY
        edges["lm_head"] = ColwiseParallel(input_layouts=SEQUENCE, output_layouts=output)
    parallelize_module(model, mesh, edges)
    for block in model.layers.values():
        parallelize_module(
            block,
            mesh,
            {
                "input_layernorm": SequenceParallel(),
                "self_attn": PrepareModuleInput(
                    input_layouts=(SEQUENCE, None, None, None, None),
                    desired_input_layouts=(Replicate(), None, None, None, None),
                ),
                "self_attn.q_proj": ColwiseParallel(),
                "self_attn.k_proj": ColwiseParallel(),
                "self_attn.v_proj": ColwiseParallel(),
                "self_attn.o_proj": RowwiseParallel(output_layouts=SEQUENCE),
                "post_attention_layernorm": SequenceParallel(),
                "mlp": PrepareModuleInput(input_layouts=(SEQUENCE,), desired_input_layouts=(Replicate(),)),
                "mlp.gate_proj": ColwiseParallel(),
                "mlp.up_proj": ColwiseParallel(),
                "mlp.down_proj": RowwiseParallel(output_layouts=SEQUENCE),
            },
        )
