"""A model over the mesh that one process asks: the first rank drives, the others follow.

A question is broadcast; then every rank computes its part of the answer, as in a training step. Only the first rank
knows what is asked why: programs that are written for one process run there unchanged.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

from altiplano.parallel.distributions import COLUMNS, distributions
from altiplano.parallel.parallelize import parameters_by_name
from altiplano.parallel.pipeline import ParallelModel
from altiplano.recipe.schema import ModelConfig
from altiplano.tokens.loader import Batch

END, WAIT = "end", "wait"
SECONDS = 60.0
"""Between signs of life of the first rank while it asks nothing: others give a silent one up after ten minutes."""
TOKENS_AT_ONCE = 2**16
"""Of a data-parallel rank in one question."""


class AskedModel:
    """The first rank calls ``distributions``, ``logits`` and ``matrix``; the others ``follow`` until it leaves
    ``asking``."""

    def __init__(self, model: ParallelModel, shape: ModelConfig):
        self.model, self.mesh, self.shape, self.sequence = model, model.mesh, shape, model.sequence
        self.lock, self.left = threading.Lock(), threading.Event()

    @property
    def rows_at_once(self) -> int:
        """Rows of a question that keep all ranks busy."""
        return self.model.layout.dp * max(1, TOKENS_AT_ONCE // self.sequence)

    def distributions(self, batch: Batch, temperature: float = 1.0) -> Tensor:
        """``distributions.COLUMNS`` of rows of ``sequence`` tokens [rows, sequence, 6], float64, on the CPU."""
        return self._ask("distributions", batch, temperature)

    def logits(self, batch: Batch, count: int) -> Tensor:
        """Logits [count, vocabulary] on the CPU: the one of number n at the place where ``batch.targets`` is n."""
        return self._ask("logits", batch, count)

    def matrix(self, name: str) -> Tensor:
        """The whole ``embed_tokens`` or ``lm_head`` [vocabulary, width] in float32 on the CPU."""
        return self._ask("matrix", name)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """For the first rank: as long as the others are to follow."""
        keeper = threading.Thread(target=self._keep_waiting, name="keep waiting", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            self.left.set()
            keeper.join()
            self._broadcast(END)

    def follow(self) -> None:
        """For the other ranks: compute with the first until it leaves ``asking``."""
        while True:
            received: list[Any] = [None]
            dist.broadcast_object_list(received, src=0)
            kind, arguments = received[0]
            if kind == END:
                return
            if kind != WAIT:
                self._answer(kind, arguments)

    def _ask(self, kind: str, *arguments: Any) -> Tensor:
        with self.lock:
            self._broadcast(kind, *arguments)
            return self._answer(kind, arguments).cpu()

    def _broadcast(self, kind: str, *arguments: Any) -> None:
        dist.broadcast_object_list([(kind, arguments)], src=0)

    def _keep_waiting(self) -> None:
        if self.mesh.device.type == "cuda":
            torch.cuda.set_device(self.mesh.device)
        while not self.left.wait(SECONDS):
            with self.lock:
                self._broadcast(WAIT)

    def _answer(self, kind: str, arguments: tuple[Any, ...]) -> Tensor:
        # whoever asks may be in inference mode, in which sharded weights cannot be gathered
        with torch.inference_mode(False), torch.no_grad():
            answer: Tensor = getattr(self, f"_{kind}")(*arguments)
            return answer

    def _share(self, batch: Batch) -> tuple[slice, Batch]:
        mine = self.model.layout.share(range(len(batch.tokens)), self.mesh.rank("dp"))
        here = slice(mine.start, mine.stop)
        return here, Batch(batch.tokens[here], batch.targets[here], batch.document[here])

    def _distributions(self, batch: Batch, temperature: float) -> Tensor:
        here, mine = self._share(batch)
        group = self.mesh.group("tp")
        found = self.model.read(mine, lambda logits, targets: distributions(logits, targets, temperature, group))
        whole = torch.zeros(*batch.tokens.shape, len(COLUMNS), dtype=torch.float64, device=self.mesh.device)
        if found is not None:
            whole[here] = self.model.whole_rows(found)
        return self.mesh.sum(whole, "dp", "pp")

    def _logits(self, batch: Batch, count: int) -> Tensor:
        wide = torch.promote_types(self.model.compute, torch.float32)
        found = torch.zeros(count, self.shape.vocab_size, dtype=wide, device=self.mesh.device)

        def keep(logits: Tensor, targets: Tensor) -> Tensor:
            marked, columns = targets >= 0, logits.shape[-1]
            start = columns * self.mesh.rank("tp")
            found[targets[marked], start : start + columns] = logits[marked].to(wide)
            return logits.new_zeros(len(logits), 0)

        self.model.read(self._share(batch)[1], keep)
        return self.mesh.sum(found, "dp", "cp", "tp", "pp")

    def _matrix(self, name: str) -> Tensor:
        parameters = parameters_by_name(self.model.parts)
        own = parameters.get(f"{name}.weight")
        if own is None and self.shape.tie_word_embeddings:
            own = parameters.get("embed_tokens.weight")
        if own is None:
            size = (self.shape.vocab_size, self.shape.hidden_size)
            whole = torch.zeros(size, dtype=torch.float32, device=self.mesh.device)
        else:
            whole = (own.full_tensor() if isinstance(own, DTensor) else own).detach().float().clone()
        return self.mesh.sum(whole, "pp")
