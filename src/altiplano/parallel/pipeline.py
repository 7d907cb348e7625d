"""Pipeline parallelism and micro-batches: one optimizer step's forward and backward passes, whatever the layout."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.pipelining import PipelineStage
from torch.distributed.pipelining.schedules import PipelineScheduleSingle, get_schedule_class

from altiplano.model.llama import Llama
from altiplano.parallel.data import fsdp_modules
from altiplano.parallel.mesh import Mesh
from altiplano.recipe.layout import Layout
from altiplano.tokens.loader import Batch

# Losses [rows, sequence] of local logits and targets; reduced over the tensor-parallel group inside.
TokenLosses = Callable[[Tensor, Tensor], Tensor]

SCHEDULES = {"1f1b": "1F1B", "gpipe": "GPipe"}


class SpreadModel:
    """This process's part of the model, and how a batch flows through all parts."""

    def __init__(
        self,
        part: Llama,
        layout: Layout,
        mesh: Mesh,
        rows: int,
        sequence: int,
        compute: torch.dtype,
        losses: TokenLosses,
    ):
        """``rows`` is the number of sequences of one data-parallel rank's share of a batch."""
        self.part, self.mesh, self.rows, self.token_losses = part, mesh, rows, losses
        self.micro_batch = layout.micro_batch_size(rows * layout.dp, sequence)
        self.divisor = 1.0
        self.schedule: PipelineScheduleSingle | None = None
        if layout.pp > 1:
            stage = self._stage(layout, sequence, compute)
            kind = get_schedule_class(SCHEDULES[layout.schedule])
            self.schedule = kind(stage, rows // self.micro_batch, loss_fn=self._pipeline_loss, scale_grads=False)

    @property
    def is_last(self) -> bool:
        """Whether this part ends in the head, so that losses appear here."""
        return self.part.lm_head is not None

    def step(self, batch: Batch, sequences: int, divisor: int) -> Tensor:
        """Accumulate the gradient of sum(token losses) / divisor; return this rank's part of that loss.

        ``batch`` is this data-parallel rank's share of a global batch of ``sequences`` rows.
        ``divisor`` is the number of predicted tokens of the batch over all ranks, so that every token weighs the same.
        """
        self.divisor = float(divisor)
        if self.schedule is not None:
            losses = self._run_pipeline(self.schedule.step, batch)
            return torch.stack(losses).sum().detach().double() if losses else self._zero()
        total = self._zero()
        starts = range(0, self.rows, self.micro_batch)
        for start in starts:
            here = slice(start, start + self.micro_batch)
            if isinstance(self.part, FSDPModule):
                # Gradients are reduced once a step, after the last micro-batch.
                self.part.set_requires_gradient_sync(start == starts[-1])
            logits = self.part(batch.tokens[here], batch.document[here])
            loss = self.token_losses(logits, batch.targets[here]).sum() / self.divisor
            loss.backward()
            total += loss.detach().double()
        return total

    @torch.no_grad()
    def score(self, batch: Batch) -> Tensor | None:
        """Losses [rows, sequence] of this rank's share of a batch; None where the head is not here."""
        if self.schedule is not None:
            losses = self._run_pipeline(self.schedule.eval, batch)
            result = torch.cat(losses) if losses else None
        else:
            starts = range(0, self.rows, self.micro_batch)
            slices = [slice(start, start + self.micro_batch) for start in starts]
            result = torch.cat(
                [self.token_losses(self.part(batch.tokens[s], batch.document[s]), batch.targets[s]) for s in slices]
            )
        for module in fsdp_modules(self.part):
            module.reshard()
        return result

    def _zero(self) -> Tensor:
        """Losses add up in float64, so that their sum hardly depends on the order of ranks and micro-batches."""
        return torch.zeros((), dtype=torch.float64, device=self.mesh.device)

    def _run_pipeline(self, run: Callable[..., object], batch: Batch) -> list[Tensor]:
        losses: list[Tensor] = []
        inputs = [batch.tokens] if self.part.embed_tokens is not None else []
        last = {"target": batch.targets, "losses": losses} if self.is_last else {}
        run(*inputs, document=batch.document, return_outputs=False, **last)
        return losses

    def _pipeline_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        losses = self.token_losses(logits, targets)
        return losses.sum() / self.divisor if torch.is_grad_enabled() else losses

    def _stage(self, layout: Layout, sequence: int, compute: torch.dtype) -> PipelineStage:
        """Shapes are given, not inferred: the attention reads document boundaries, which inference has not got."""
        shape, rows = self.part.shape, self.micro_batch

        def hidden() -> Tensor:
            return torch.empty(
                rows, sequence // layout.tp, shape.width, dtype=compute, device="meta", requires_grad=True
            )

        tokens = torch.empty(rows, sequence, dtype=torch.int64, device="meta")
        logits = torch.empty(
            rows, sequence, shape.vocabulary // layout.tp, dtype=compute, device="meta", requires_grad=True
        )
        return PipelineStage(
            self.part,
            self.mesh.rank("pp"),
            layout.pp,
            self.mesh.device,
            input_args=(hidden() if self.part.embed_tokens is None else tokens,),
            output_args=(logits if self.is_last else hidden(),),
            group=self.mesh.group("pp"),
        )
