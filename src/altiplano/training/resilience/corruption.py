"""Silent corruption: weights that change when nobody writes them, or replicas that are no longer alike.

Two independent searches. Between two updates nothing may touch a rank's weights, so their sums must stay: this finds
flipped bits on any layout and knows the rank. And shards that several ranks hold must be equal on all of them: this
finds wrong arithmetic, too, and knows the rank when at least three can vote. A sum of a tensor's bits as integers
changes with any single flipped bit.
"""

from collections import defaultdict
from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate

from altiplano.errors import Fault

INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@torch.no_grad()
def bit_sums(parameters: Mapping[str, nn.Parameter]) -> Tensor:
    """One int64 per parameter: the sum of the local shard's bits read as integers, modulo 2⁶⁴."""
    sums = []
    for parameter in parameters.values():
        local = parameter.to_local() if isinstance(parameter, DTensor) else parameter
        local = local.detach().contiguous()
        sums.append(local.view(INTEGERS[local.element_size()]).sum(dtype=torch.int64))
    return torch.stack(sums).cpu()


class CorruptionSearch:
    """Remembers sums after an update and compares them before the next."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], group: dist.ProcessGroup):
        """``group`` is of all processes and talks on the CPU."""
        self.parameters, self.group = parameters, group
        self.names = list(parameters)
        self.remembered: Tensor | None = None
        self.replicas = _replica_groups(parameters)

    def remember(self) -> None:
        self.remembered = bit_sums(self.parameters)

    def compare(self, step: int) -> None:
        """On all processes together. Raises Fault, naming rank and parameter, when anything is not as it must be."""
        now = bit_sums(self.parameters)
        verdicts = [self._changed(now), *self._unlike(now)]
        self.remembered = None
        found: list[list[str]] = [[] for _ in range(dist.get_world_size())]
        dist.all_gather_object(found, [verdict for verdict in verdicts if verdict], group=self.group)
        reasons = sorted({reason for of_rank in found for reason in of_rank})
        if reasons:
            # A rank whose own memory changed explains why its replicas differ.
            certain = [reason for reason in reasons if reason.startswith("rank")]
            raise Fault(f"silent corruption by step {step}: {(certain or reasons)[0]}")

    def _changed(self, now: Tensor) -> str:
        if self.remembered is None or torch.equal(now, self.remembered):
            return ""
        name = self.names[int((now != self.remembered).nonzero()[0])]
        return f"rank {dist.get_rank()} holds other weights than it computed ({name} changed between two updates)"

    def _unlike(self, now: Tensor) -> list[str]:
        verdicts = []
        for ranks, (group, places) in self.replicas.items():
            mine = now[places]
            theirs = [torch.empty_like(mine) for _ in ranks]
            dist.all_gather(theirs, mine, group=group)
            table = torch.stack(theirs)
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


Groups = dict[tuple[int, ...], tuple[dist.ProcessGroup, list[int]]]


def _replica_groups(parameters: Mapping[str, nn.Parameter]) -> Groups:
    """Ranks that hold the same shards, with a group of their own for talking on the CPU, and which parameters."""
    places: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, parameter in enumerate(parameters.values()):
        if not isinstance(parameter, DTensor):
            continue
        mesh = parameter.device_mesh
        here = mesh.get_coordinate()
        for dimension, placement in enumerate(parameter.placements):
            if isinstance(placement, Replicate) and mesh.size(dimension) > 1 and here is not None:
                index = tuple(slice(None) if d == dimension else c for d, c in enumerate(here))
                places[tuple(mesh.mesh[index].tolist())].append(place)
    # Every process must take part in making every group, in the same order.
    all_places: list[list[tuple[int, ...]]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(all_places, sorted(places))
    groups: Groups = {}
    for ranks in sorted({ranks for of_rank in all_places for ranks in of_rank}):
        group = dist.new_group(list(ranks), backend="gloo")
        if ranks in places:
            groups[ranks] = (group, places[ranks])
    return groups
