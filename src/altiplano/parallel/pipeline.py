"""One optimizer step's forward and backward passes, whatever the layout: padding, micro-batches, pipeline schedules."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.pipelining import PipelineStage
from torch.distributed.pipelining.schedules import PipelineScheduleSingle, get_schedule_class
from torch.distributed.tensor import DTensor

from altiplano.model.llama import Llama
from altiplano.parallel.bfloat16 import Products
from altiplano.parallel.compilation import check_gradients
from altiplano.parallel.context import context_shard, gather_sequence
from altiplano.parallel.data import fsdp_modules
from altiplano.parallel.head import HeadLosses, give_losses
from altiplano.parallel.mesh import Mesh
from altiplano.recipe.layout import Layout
from altiplano.tokens.loader import IGNORED, Batch

# Losses [rows, tokens] of local logits and targets; reduced over the tensor-parallel group inside.
TokenLosses = Callable[[Tensor, Tensor], Tensor]

SCHEDULES = {"1f1b": "1F1B", "interleaved": "Interleaved1F1B", "zbv": "ZBVZeroBubble", "gpipe": "GPipe"}


class LazyBufferStage(PipelineStage):
    """A pipeline stage that holds receive buffers for the micro-batches in flight only.

    PyTorch's holds one for every micro-batch of a step and direction from the first step on: 8 GiB on each middle rank
    of Llama 3.1 405B over 16 pipeline ranks. Here a buffer comes when its receive is posted and goes when the backward
    pass is done with it; until then it is a tensor on the meta device, which has a shape and no memory.
    """

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


class ParallelModel:
    """This process's parts of the model, in the order of the pipeline, and how a batch flows through all parts.

    ``progress`` is called at every micro-batch of every part, in training and in evaluation.
    """

    def __init__(
        self,
        parts: list[Llama],
        layout: Layout,
        mesh: Mesh,
        sequence: int,
        compute: torch.dtype,
        losses: HeadLosses,
        products: Products | None = None,
    ):
        self.parts, self.layout, self.mesh, self.sequence, self.compute = parts, layout, mesh, sequence, compute
        self.token_losses, self.products = losses, products
        self.training_losses: TokenLosses = losses
        self.head_gives_losses = layout.head_chunks > 1
        self.stages = layout.stage_numbers(mesh.rank("pp"))
        self.context_shard = context_shard(sequence, mesh.group("cp"), mesh.device)
        self.num_target_tokens: float | Tensor = 1.0
        self.unchecked = layout.compile
        self.schedules: dict[tuple[int, int], Any] = {}
        self.progress: Callable[[], None] = lambda: None
        for part in parts:
            part.register_forward_pre_hook(lambda module, arguments: self.progress())
            if self.head_gives_losses:
                give_losses(part, losses, layout.head_chunks)

    def step(self, batch: Batch, sequences: int, num_target_tokens: int | Tensor) -> Tensor:
        """Accumulate the gradient of sum(token losses) / num_target_tokens; return this rank's part of that loss.

        ``batch`` is this data-parallel rank's share of a global batch of ``sequences`` rows. ``num_target_tokens`` is
        the number of predicted tokens of the batch over all ranks, so that every token weighs the same; on the device,
        where the host does not know it. The parts of
        all ``dp`` and ``pp`` ranks add up to the loss; ``cp`` ranks return the same, as ``tp`` ranks do. Raises
        TrainingError when the model is compiled and that changes the gradient of its first batch.
        """
        if self.unchecked:
            self.unchecked = False
            check_gradients(self._sample(batch, sequences, num_target_tokens), self.parts, self.compute)
        return self._gradient(batch, sequences, num_target_tokens)

    def _sample(self, batch: Batch, sequences: int, num_target_tokens: int | Tensor) -> Callable[[], Tensor]:
        """One micro-batch's gradient on each rank; with a pipeline the whole step's, as it takes several to fill it."""
        if self.layout.pp > 1:
            return lambda: self._gradient(batch, sequences, num_target_tokens)
        _, size = self.layout.micro_batches(sequences, self.sequence)
        first = Batch(batch.tokens[:size], batch.targets[:size], batch.document[:size])
        return lambda: self._gradient(first, size * self.layout.dp, num_target_tokens)

    def _gradient(self, batch: Batch, sequences: int, num_target_tokens: int | Tensor) -> Tensor:
        if isinstance(num_target_tokens, Tensor):
            self.num_target_tokens = num_target_tokens.clamp(min=1)
        else:
            self.num_target_tokens = float(max(1, num_target_tokens))
        count, size = self.layout.micro_batches(sequences, self.sequence)
        rows = math.ceil(sequences / self.layout.dp) if self.layout.pp == 1 else count * size
        batch = self._held_tokens(padded(batch, rows))
        losses = self._pipeline(batch, count, size) if self.layout.pp > 1 else self._accumulate(batch, size)
        # In float64 the sum hardly depends on the order of ranks and micro-batches.
        total = torch.zeros((), dtype=torch.float64, device=self.mesh.device)
        total = sum((loss.double() for loss in losses), total)
        for part in self.parts:
            for parameter in part.parameters():
                add_up(parameter)
        return self.mesh.sum(total, "cp")

    def score(self, batch: Batch) -> Tensor | None:
        """Losses [rows, sequence] of this rank's rows; None where the head is not here.

        All data-parallel ranks score together; they may have different numbers of rows, or none.
        """
        losses = self.read(batch, None if self.head_gives_losses else self.token_losses)
        return None if losses is None else self.whole_rows(losses)

    @torch.no_grad()
    def read(self, batch: Batch, reader: TokenLosses | None) -> Tensor | None:
        """What ``reader`` makes [rows, …] of this rank's logits and targets, as of ``score``'s rows, and of no more
        rows at a time than a micro-batch has; None where the head is not here. Without a reader the head's losses."""
        if self.head_gives_losses != (reader is None):
            raise ValueError(f"layout {self.layout}: {'logits' if reader else 'losses'} are not what its head gives")
        batch = batch.to(self.mesh.device)
        rows = batch.tokens.shape[0]
        longest = torch.tensor(max(1, rows), device=self.mesh.device)
        dist.all_reduce(longest, dist.ReduceOp.MAX, group=self.mesh.group("dp"))
        most = int(longest)
        _, size = self.layout.micro_batches(most * self.layout.dp, self.sequence)
        whole = padded(batch, size * math.ceil(most / size))
        found = [self._forward(part, reader) for part in micro_batches(self._held_tokens(whole), size)]
        for part in self.parts:
            for module in fsdp_modules(part):
                module.reshard()
        here = [one for one in found if one is not None]
        return torch.cat(here)[:rows] if here else None

    def whole_rows(self, values: Tensor) -> Tensor:
        """Values [rows, tokens, …] of this context-parallel rank's tokens to those of whole rows."""
        if self.layout.cp == 1:
            return values
        flat = values.reshape(*values.shape[:2], -1, 1)
        return gather_sequence(flat, self.context_shard).reshape(len(values), self.sequence, *values.shape[2:])

    def _held_tokens(self, batch: Batch) -> Batch:
        """The tokens that this context-parallel rank holds; attention needs the documents of whole rows."""
        return Batch(
            batch.tokens[:, self.context_shard.held], batch.targets[:, self.context_shard.held], batch.document
        )

    def _accumulate(self, batch: Batch, size: int) -> Iterator[Tensor]:
        (part,) = self.parts
        rows = batch.tokens.shape[0]
        for number, micro_batch in enumerate(micro_batches(batch, size)):
            if isinstance(part, FSDPModule):
                # Gradients are reduced once a step, after the last micro-batch. A rank that holds all weights anyway
                # makes their bfloat16 copy once a step, too.
                is_last = (number + 1) * size >= rows
                part.set_requires_gradient_sync(is_last)
                part.set_reshard_after_backward(is_last or self.mesh.weights["shards"].size() > 1)
            output = part(micro_batch.tokens, micro_batch.document, **self._for_head(micro_batch.targets))
            loss = self._loss(output, micro_batch.targets)
            loss.backward()
            yield loss.detach()

    def _for_head(self, targets: Tensor) -> dict[str, Tensor]:
        return {"targets": targets} if self.head_gives_losses else {}

    def _loss(self, output: Tensor, targets: Tensor) -> Tensor:
        losses = output if self.head_gives_losses else self.training_losses(output, targets)
        return losses.sum() / self.num_target_tokens

    def _pipeline(self, batch: Batch, count: int, size: int) -> list[Tensor]:
        if (count, size) not in self.schedules:
            self.schedules[count, size] = self._schedule(count, size)
        losses: list[Tensor] = []
        inputs = [batch.tokens] if 0 in self.stages else []
        last: dict[str, Any] = {}
        if self.layout.stages - 1 in self.stages:
            last = {"target": batch.targets, "losses": losses, **self._for_head(batch.targets)}
        self.schedules[count, size].step(*inputs, document=batch.document, return_outputs=False, **last)
        return [loss.detach() for loss in losses]

    def _schedule(self, count: int, size: int) -> Any:
        stages = [self._stage(stage, part, size) for stage, part in zip(self.stages, self.parts, strict=True)]
        kind = get_schedule_class(SCHEDULES[self.layout.schedule])
        single = issubclass(kind, PipelineScheduleSingle)
        schedule = kind(stages[0] if single else stages, count, loss_fn=self._loss, scale_grads=False)
        gather_once(schedule)
        return schedule

    def _stage(self, stage: int, part: Llama, size: int) -> LazyBufferStage:
        """Shapes are given, not inferred: the attention reads document boundaries, which inference has not got."""
        last = stage == self.layout.stages - 1
        hidden = torch.empty(self._hidden_size(size), dtype=self.compute, device="meta", requires_grad=True)
        tokens = torch.empty(size, len(self.context_shard.held), dtype=torch.int64, device="meta")
        output = [*tokens.shape] if self.head_gives_losses else [*tokens.shape, part.shape.vocab_size // self.layout.tp]
        wide = torch.promote_types(self.compute, torch.float32) if self.head_gives_losses else self.compute
        output_args = torch.empty(output, dtype=wide, device="meta", requires_grad=True) if last else hidden.clone()
        return LazyBufferStage(
            part,
            stage,
            self.layout.stages,
            self.mesh.device,
            input_args=(tokens if stage == 0 else hidden,),
            output_args=(output_args,),
            group=self.mesh.group("pp"),
        )

    def _hidden_size(self, rows: int) -> tuple[int, ...]:
        """Between stages: the tokens of all rows are split over tp, too."""
        held, width = len(self.context_shard.held), self.parts[0].shape.hidden_size
        return (rows * held // self.layout.tp, width) if self.layout.tp > 1 else (rows, held, width)

    def _forward(self, batch: Batch, reader: TokenLosses | None) -> Tensor | None:
        """Forward through all stages, wherever they are; one micro-batch after the other, so no send waits in vain."""
        hidden, found = None, None
        for stage, part in zip(self.stages, self.parts, strict=True):
            if stage == 0:
                x = batch.tokens
            elif hidden is not None:  # the turn of zbv's V: the stage before is here, too
                x = hidden
            else:
                x = torch.empty(self._hidden_size(len(batch.tokens)), dtype=self.compute, device=self.mesh.device)
                dist.recv(x, group=self.mesh.group("pp"), group_src=self._holder(stage - 1))
            hidden = part(x, batch.document, **self._for_head(batch.targets))
            if stage == self.layout.stages - 1:
                found = hidden if reader is None else reader(hidden, batch.targets)
            elif stage + 1 not in self.stages:
                dist.send(hidden.contiguous(), group=self.mesh.group("pp"), group_dst=self._holder(stage + 1))
                hidden = None
        return found

    def _holder(self, stage: int) -> int:
        """The pipeline rank that holds ``stage``."""
        return next(rank for rank in range(self.layout.pp) if stage in self.layout.stage_numbers(rank))


def add_up(parameter: torch.nn.Parameter) -> None:
    """Without data sharding a tensor-parallel rank is left with its own part of some weights' gradients. AdamW of
    PyTorch 2.11 would take it for the whole; later ones would add the parts up for the norm and for each moment."""
    gradient, weight = parameter.grad, parameter.data
    if isinstance(gradient, DTensor) and isinstance(weight, DTensor) and gradient.placements != weight.placements:
        parameter.grad = gradient.redistribute(placements=weight.placements)


def gather_once(schedule: Any) -> None:
    """Let every stage's weights be gathered once a step: PyTorch holds those of three stages a rank at a time, and with
    more gathers them again and again."""
    orders = getattr(schedule, "pipeline_order_with_comms", {})
    for rank, order in orders.items():
        first = {one.stage_index: place for place, one in reversed([*enumerate(order)]) if _is(one, "UNSHARD")}
        last = {one.stage_index: place for place, one in enumerate(order) if _is(one, "RESHARD")}
        orders[rank] = [
            one
            for place, one in enumerate(order)
            if not (_is(one, "UNSHARD") and place != first[one.stage_index])
            and not (_is(one, "RESHARD") and place != last[one.stage_index])
        ]


def _is(action: Any, name: str) -> bool:
    return action.computation_type.value == name


def padded(batch: Batch, rows: int) -> Batch:
    """``batch`` with rows added up to ``rows``, in which nothing is predicted: they have neither loss nor gradient."""
    more = rows - batch.tokens.shape[0]
    if not more:
        return batch
    tokens, targets, document = (
        F.pad(tensor, (0, 0, 0, more), value=filler)
        for tensor, filler in ((batch.tokens, 0), (batch.targets, IGNORED), (batch.document, 0))
    )
    return Batch(tokens, targets, document)


def micro_batches(batch: Batch, size: int) -> Iterator[Batch]:
    """``size`` rows at a time; the last may be short."""
    rows = zip(batch.tokens.split(size), batch.targets.split(size), batch.document.split(size), strict=True)
    return (Batch(*tensors) for tensors in rows)


META = torch.device("meta")
