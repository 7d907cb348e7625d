"""Silent corruption: weights that change when nobody writes them, or replicas that are no longer alike.

Two independent searches. Between two updates nothing may touch a rank's weights, so their sums must stay: this finds
flipped bits on any layout and knows the rank. And shards that several ranks hold must be equal on all of them: this
finds wrong arithmetic, too, and knows the rank when at least three can vote. A sum of a tensor's bits as integers
changes with any single flipped bit.
"""

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate

from altiplano.errors import Fault

INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@torch.no_grad()
def bit_sums(parameters: Mapping[str, nn.Parameter]) -> Tensor:
    """One int64 per parameter, on its device: the sum of the local shard's bits read as integers, modulo 2⁶⁴."""
    sums = []
    for parameter in parameters.values():
        local = parameter.to_local() if isinstance(parameter, DTensor) else parameter
        local = local.detach().contiguous()
        sums.append(local.view(INTEGERS[local.element_size()]).sum(dtype=torch.int64))
    return torch.stack(sums)


class CorruptionSearch:
    """Remembers sums after an update and compares them before the next."""

    def __init__(self, parameters: Mapping[str, nn.Parameter]):
        self.parameters = parameters
        self.names = list(parameters)
        self.remembered: Tensor | None = None
        self.replicas = _replica_groups(parameters)

    def remember(self) -> None:
        self.remembered = bit_sums(self.parameters)

    def compare(self, step: int) -> None:
        """On all processes together. Raises Fault, naming rank and parameter, when anything is not as it must be."""
        now, before = bit_sums(self.parameters), self.remembered
        tables = [self._gathered(now[places], group) for group, places in self.replicas]
        self.remembered = None
        differ = [torch.zeros((), dtype=torch.bool, device=now.device)]
        differ += [(table != table[0]).any() for table in tables]
        if before is not None:
            differ.append((now != before).any())
        found_any = torch.stack(differ).any().int()
        dist.all_reduce(found_any, dist.ReduceOp.MAX)
        if not int(found_any):  # the one wait for the device, as long as all is well
            return
        verdicts = [self._changed(now.cpu(), before), *self._unlike([table.cpu() for table in tables])]
        found: list[list[str]] = [[] for _ in range(dist.get_world_size())]
        dist.all_gather_object(found, [verdict for verdict in verdicts if verdict])
        reasons = sorted({reason for of_rank in found for reason in of_rank})
        if reasons:
            # A rank whose own memory changed explains why its replicas differ.
            certain = [reason for reason in reasons if reason.startswith("rank")]
            raise Fault(f"silent corruption by step {step}: {(certain or reasons)[0]}")

    def _gathered(self, mine: Tensor, group: dist.ProcessGroup) -> Tensor:
        """The sums of each rank of a group [ranks, sums]."""
        theirs = [torch.empty_like(mine) for _ in range(group.size())]
        dist.all_gather(theirs, mine, group=group)
        return torch.stack(theirs)

    def _changed(self, now: Tensor, before: Tensor | None) -> str:
        if before is None or torch.equal(now, before.cpu()):
            return ""
        name = self.names[int((now != before.cpu()).nonzero()[0])]
        return f"rank {dist.get_rank()} holds other weights than it computed ({name} changed between two updates)"

    def _unlike(self, tables: list[Tensor]) -> list[str]:
        verdicts = []
        for (group, places), table in zip(self.replicas, tables, strict=True):
            ranks = dist.get_process_group_ranks(group)
            column = (table != table[0]).any(dim=0).nonzero().flatten()
            if not len(column):
                continue
            name = self.names[places[int(column[0])]]
            values = table[:, int(column[0])].tolist()
            usual = max(set(values), key=values.count)
            odd = [rank for rank, value in zip(ranks, values, strict=True) if value != usual]
            if values.count(usual) > len(odd):
                verdicts.append(f"rank {odd[0]} differs from its {len(ranks) - 1} replicas in {name}")
            else:
                verdicts.append(f"one of ranks {', '.join(map(str, ranks))} is wrong: their replicas of {name} differ")
        return verdicts


def _replica_groups(parameters: Mapping[str, nn.Parameter]) -> list[tuple[dist.ProcessGroup, list[int]]]:
    """Groups of the mesh whose ranks hold the same shards, and the places of these parameters, in order."""
    groups: dict[str, tuple[dist.ProcessGroup, list[int]]] = {}
    for place, parameter in enumerate(parameters.values()):
        if not isinstance(parameter, DTensor) or parameter.device_mesh.get_coordinate() is None:
            continue
        mesh = parameter.device_mesh
        for dimension, placement in enumerate(parameter.placements):
            if isinstance(placement, Replicate) and mesh.size(dimension) > 1:
                group = mesh.get_group(dimension)
                groups.setdefault(group.group_name, (group, []))[1].append(place)
    return [*groups.values()]  # members of a group have the same parameters, so they are in the same order on all
