"""All processes tell the first one something and hear what follows, beside training, over the job's store.

A process group of gloo would connect every process with every other: 2,047 sockets in each of 2,048, more than most
systems allow a process, and beyond a thousand processes it fails to connect (pytorch/gloo#327). The store is one
connection a process, and what is said here is short.
"""

import json
from datetime import timedelta
from itertools import count
from typing import Any

import torch.distributed as dist
from torch.distributed.distributed_c10d import _get_default_store

PATIENCE = timedelta(days=1)
"""How long one may be waited for: whoever started the processes notices sooner when one has ended or hangs."""
_names = count()


class Meeting:
    """Every process makes its meetings in the same order. One thread may use each."""

    def __init__(self) -> None:
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        # A connection of its own: one that waits in a thread would keep training from the store.
        store: Any = _get_default_store()
        self.store = dist.PrefixStore(f"meeting-{next(_names)}", store.clone())
        self.store.set_timeout(PATIENCE)
        self.round = 0

    def gather(self, value: Any) -> list[Any]:
        """What every process said, in the order of ranks, on the first one; [] on the others. ``tell`` must follow.

        ``value`` is anything that JSON can hold.
        """
        self.store.set(f"{self.round}/{self.rank}", json.dumps(value))
        if self.rank:
            return []
        keys = [f"{self.round}/{rank}" for rank in range(self.world)]
        said = [json.loads(text) for text in self.store.multi_get(keys)]
        for key in keys:
            self.store.delete_key(key)
        return said

    def tell(self, value: Any = None) -> Any:
        """What the first process says, on all of them."""
        key = f"{self.round}/told"
        if self.rank == 0:
            self.store.set(key, json.dumps(value))
            if self.round:  # all have spoken since, so all have heard it
                self.store.delete_key(f"{self.round - 1}/told")
        told = json.loads(self.store.get(key)) if self.rank else value
        self.round += 1
        return told
