"""One rank of a large job without the others: a process group that only pretends, and tensors without memory."""

import os
from typing import Any

import torch.distributed as dist
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.pipelining import schedules, stage
from torch.testing._internal.distributed.fake_pg import FakeStore

from altiplano.model.attention import fused_attention
from altiplano.model.llama import Llama
from altiplano.parallel import context
from altiplano.parallel.mesh import Mesh, start_mesh
from altiplano.recipe.layout import Layout
from altiplano.training import loss


def join_fake_group(layout: Layout, rank: int) -> Mesh:
    """The mesh as rank ``rank`` of the whole job sees it. Collectives return at once and change nothing."""
    os.environ.update(WORLD_SIZE=str(layout.world_size), RANK=str(rank), LOCAL_RANK="0")
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=layout.world_size)
    skip_vote()
    # A GPU widens no logits; larger pieces than a CPU's only make the rehearsal shorter.
    loss.CHUNK = 2**24
    context.context_attention = _attend_to_whole_row
    return start_mesh(layout, "cpu")


def skip_vote() -> None:
    """PyTorch 2.13 first votes whether all stages were given shapes; ours were, and nobody is there to ask."""
    if not hasattr(schedules._PipelineSchedule, "_warmup_p2p"):
        return

    def all_were_given(self: Any, stages: list[Any], has_backward: bool, p2p_done: bool) -> None:
        for one in stages:
            one._inference_mode = stage.InferenceMode.STATIC

    schedules._PipelineSchedule._warmup_p2p = all_were_given  # type: ignore[method-assign]


def use_gathered_sequences(part: Llama, layout: Layout) -> None:
    """Let every row be one document: where documents end is a question about values, which fake tensors have not got.

    Attention is PyTorch's fused one, which keeps what a GPU's does, instead of the CPU's tiles and masks.
    """
    part.pack_documents = lambda document, dtype: None
    if layout.cp == 1:
        for block in part.layers.values():
            block.get_submodule("self_attn").attend = _attend_row  # type: ignore[assignment]


def _attend_row(q: Tensor, k: Tensor, v: Tensor, _packing: Any) -> Tensor:
    return fused_attention(q, k, v, mask=None, is_causal=True)


def _attend_to_whole_row(q: Tensor, k: Tensor, v: Tensor, packing: Any) -> Tensor:
    return fused_attention(q, k, v, mask=None, is_causal=False)


def fake_tensors() -> FakeTensorMode:
    """FSDP keeps some small tensors that were made before; they are let in."""
    return FakeTensorMode(allow_non_fake_inputs=True)
