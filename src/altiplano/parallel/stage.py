"""A pipeline stage that holds receive buffers for the micro-batches in flight only.

PyTorch's holds one for every micro-batch of a step and direction from the first step on: 8 GiB on each middle rank of
Llama 3.1 405B over 16 pipeline ranks. Here a buffer comes when its receive is posted and goes when the backward pass
is done with it; until then it is a tensor on the meta device, which has a shape and no memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.distributed.pipelining import PipelineStage

META = torch.device("meta")


class Stage(PipelineStage):
    def _prepare_forward_infra(self, *arguments: Any, **named: Any) -> Any:
        with self._without_memory():
            return super()._prepare_forward_infra(*arguments, **named)

    def _prepare_backward_infra(self, *arguments: Any, **named: Any) -> Any:
        with self._without_memory():
            return super()._prepare_backward_infra(*arguments, **named)

    @contextmanager
    def _without_memory(self) -> Iterator[None]:
        """Shapes are given (see ``SpreadModel``), so buffers are all that is made here."""
        device, self.device = self.device, META
        try:
            yield
        finally:
            self.device = device

    def _get_init_p2p_neighbors_ops(self) -> Any:
        # PyTorch 2.11 greets the next stage of a V, which is on the same rank; gloo has no connection to itself.
        return [one for one in super()._get_init_p2p_neighbors_ops() if one.group_peer != self.group_rank]

    def get_fwd_recv_ops(self, fwd_chunk_id: int) -> Any:
        self._allocate(self.args_recv_info.get(fwd_chunk_id, ()))
        return super().get_fwd_recv_ops(fwd_chunk_id)

    def get_bwd_recv_ops(self, bwd_chunk_id: int) -> Any:
        self._allocate(self.grad_recv_info.get(bwd_chunk_id, ()))
        return super().get_bwd_recv_ops(bwd_chunk_id)

    def backward_one_chunk(self, bwd_chunk_id: int, *arguments: Any, **named: Any) -> Any:
        found = super().backward_one_chunk(bwd_chunk_id, *arguments, **named)
        # What a later backward pass for the weights needs, autograd and the stage hold themselves.
        for info in (*self.args_recv_info[bwd_chunk_id], *self.grad_recv_info.get(bwd_chunk_id, ())):
            self._move(info, META)
        return found

    def _allocate(self, infos: Any) -> None:
        for info in infos:
            if getattr(info, "buffer", None) is not None and info.buffer.device == META:
                self._move(info, self.device)

    def _move(self, info: Any, device: torch.device) -> None:
        # PyTorch 2.11 has placeholders without a buffer, and says once, when it makes them, which ones need a gradient.
        if getattr(info, "buffer", None) is not None:
            info.buffer = torch.empty_like(info.buffer, device=device, requires_grad=info.buffer.requires_grad)
