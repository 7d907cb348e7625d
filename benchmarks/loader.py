"""How fast training batches are read, on one core, against what people would use instead.

    python benchmarks/loader.py

Writes made-up shards (vocabulary of Llama 3, int32; uint16 for the small shape) to a temporary folder, warm in the page
cache. Every way reads shuffled windows from the same memory-mapped files; they take turns, in rounds, and ratios are of
the same round. Ours gives tokens, targets without the starts of documents, and document numbers, under a mixture of
three sources; the others give tokens and targets alone, as their users do. Prints tables and one line of JSON; exits 1
when ours is below 50M tokens/s on any shape.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from altiplano.recipe.batch import MixturePhase
from altiplano.tokens.loader import Prefetcher, read_batch
from altiplano.tokens.shards import ShardWriter, read_shards, write_list
from altiplano.tokens.training_data import TrainingData
from altiplano.training.accounting.hardware import keep_freed_memory

REQUIRED = 50e6
ROUNDS, SECONDS = 7, 0.4
SHAPES = {"quickstart": (256, 16, 2560), "proxy": (2048, 16, 128_256), "llama": (8192, 16, 128_256)}
SOURCES = {"web.en": 24_000_000, "web.de": 6_000_000, "code.code": 10_000_000}
MIXTURE = (MixturePhase(weights={"web": 0.7, "code": 0.3}),)
BYTES_PER_TOKEN = 3 * 8
"""Written: tokens, targets and document numbers, int64. Reading adds 2 or 4."""

Reader = Callable[[], int]
"""Reads one batch and says how many tokens it had."""


def write_shards(folder: Path, vocabulary: int) -> None:
    """Documents of 100 to 3,000 random tokens."""
    generator = np.random.default_rng(0)
    dtype = np.uint16 if vocabulary <= 65_536 else np.int32
    shards = []
    for name, tokens in SOURCES.items():
        writer = ShardWriter(folder / "train" / name, dtype)
        left = tokens
        while left > 0:
            length = min(left, int(generator.integers(100, 3000)))
            writer.add(np.append(vocabulary - 256, generator.integers(0, vocabulary - 256, length - 1)), length)
            left -= length
        shards.append(writer.close("train", *name.split(".")))
    write_list(folder, shards, vocabulary)


def ours(folder: Path, sequence: int, rows: int, vocabulary: int) -> Reader:
    data = TrainingData(read_shards(folder, "train"), sequence, vocabulary - 256, 0, MIXTURE)
    first = 0

    def read() -> int:
        nonlocal first
        read_batch(data, range(first, first + rows))
        first += rows
        return rows * sequence

    return read


class Windows(torch.utils.data.Dataset):
    """The map-style dataset that a user of torch or grain would write."""

    def __init__(self, folder: Path, sequence: int):
        self.sequence = sequence
        self.shards = [np.asarray(shard.data) for shard in read_shards(folder, "train")]
        self.ends = np.cumsum([(len(shard) - 1) // sequence for shard in self.shards])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, sample: int) -> tuple[np.ndarray, np.ndarray]:
        shard = int(np.searchsorted(self.ends, sample, side="right"))
        start = (sample - (int(self.ends[shard - 1]) if shard else 0)) * self.sequence
        window = self.shards[shard][start : start + self.sequence + 1].astype(np.int64)
        return window[:-1], window[1:]


def torch_loader(folder: Path, sequence: int, rows: int, vocabulary: int) -> Reader:
    def epochs() -> Iterator[list[torch.Tensor]]:
        while True:
            yield from torch.utils.data.DataLoader(Windows(folder, sequence), rows, shuffle=True, drop_last=True)

    batches = epochs()
    return lambda: rows * next(batches)[0].shape[1]


def grain_loader(folder: Path, sequence: int, rows: int, vocabulary: int) -> Reader:
    import grain

    dataset = grain.MapDataset.source(Windows(folder, sequence)).seed(0).shuffle().repeat().batch(rows)
    batches = iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)))
    return lambda: rows * next(batches)[0].shape[1]


def nano_loader(folder: Path, sequence: int, rows: int, vocabulary: int) -> Reader:
    """nanoGPT's way: random places, with replacement, in one array."""
    data = np.concatenate([np.asarray(shard.data) for shard in read_shards(folder, "train")])

    def read() -> int:
        places = torch.randint(len(data) - sequence, (rows,))
        torch.stack([torch.from_numpy(data[i : i + sequence].astype(np.int64)) for i in places])
        torch.stack([torch.from_numpy(data[i + 1 : i + 1 + sequence].astype(np.int64)) for i in places])
        return rows * sequence

    return read


READERS = {
    "altiplano": ours,
    "plain memmap loop": nano_loader,
    "torch DataLoader": torch_loader,
    "grain": grain_loader,
}


def rate(read: Reader) -> float:
    """Tokens per second of one core's time: what other programs take of a shared machine does not count."""
    tokens, begun = 0, time.process_time()
    while time.process_time() - begun < SECONDS:
        tokens += read()
    return tokens / (time.process_time() - begun)


def copy_bandwidth() -> float:
    """Bytes read plus bytes written per second by one core copying arrays that no cache holds."""
    source = np.ones(2**25, dtype=np.int64)
    target = np.empty_like(source)
    np.copyto(target, source)
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - begun)
    return 2 * source.nbytes / min(times)


def prefetch_wait(folder: Path, sequence: int, rows: int, vocabulary: int) -> tuple[float, float]:
    """Median seconds that a step waits for its batch while a thread reads ahead, and that it would wait without."""
    data = TrainingData(read_shards(folder, "train"), sequence, vocabulary - 256, 0, MIXTURE)
    square = torch.randn(1024, 1024)
    waits, direct = [], []
    with Prefetcher(
        partial(read_batch, data), (range(step * rows, (step + 1) * rows) for step in range(100))
    ) as batches:
        for step in range(60):
            begun = time.perf_counter()
            next(batches)
            waits.append(time.perf_counter() - begun)
            for _ in range(3):
                square @ square  # the step: some tens of milliseconds of products
            if step < 20:
                begun = time.perf_counter()
                read_batch(data, range(step * rows, (step + 1) * rows))
                direct.append(time.perf_counter() - begun)
    return statistics.median(waits[20:]), statistics.median(direct)


def main() -> int:
    torch.set_num_threads(1)
    keep_freed_memory()  # as in training
    bandwidth = copy_bandwidth()
    report: dict[str, object] = {"copy_bytes_per_second": bandwidth}
    print(f"one core, {ROUNDS} rounds; copying moves {bandwidth / 1e9:.1f} GB/s, read and written")
    slowest = float("inf")
    with tempfile.TemporaryDirectory() as temporary:
        for shape, (sequence, rows, vocabulary) in SHAPES.items():
            folder = Path(temporary) / str(vocabulary)
            if not folder.exists():
                write_shards(folder, vocabulary)
            limit = bandwidth / (BYTES_PER_TOKEN + (2 if vocabulary <= 65_536 else 4))
            readers = {name: make(folder, sequence, rows, vocabulary) for name, make in READERS.items()}
            rates: dict[str, list[float]] = {name: [] for name in readers}
            for read in readers.values():
                read()
            for number in range(ROUNDS):
                order = list(readers) if number % 2 else list(reversed(readers))
                for name in order:
                    rates[name].append(rate(readers[name]))
            print(f"\n{shape}: {rows} rows of {sequence:,}; memory limit about {limit / 1e6:,.0f}M tokens/s")
            for name, values in rates.items():
                ratios = [a / b for a, b in zip(rates["altiplano"], values, strict=True)]
                spread = f"{min(ratios):.1f} to {max(ratios):.1f}"
                print(
                    f"  {name:<18} {statistics.median(values) / 1e6:>8,.1f}M tokens/s   "
                    f"altiplano is {statistics.median(ratios):>5.1f} × as fast ({spread})"
                )
            waited, direct = prefetch_wait(folder, sequence, rows, vocabulary)
            print(f"  a step waits {waited * 1e6:,.0f} µs for its batch with prefetch, {direct * 1e6:,.0f} µs without")
            medians = {name: statistics.median(values) for name, values in rates.items()}
            slowest = min(slowest, medians["altiplano"])
            report[shape] = {
                "sequence": sequence,
                "rows": rows,
                "memory_limit": limit,
                "tokens_per_second": medians,
                "prefetch_wait_seconds": waited,
                "direct_wait_seconds": direct,
            }
    passed = slowest >= REQUIRED
    print(f"\nslowest: {slowest / 1e6:,.0f}M tokens/s on one core; required: {REQUIRED / 1e6:.0f}M")
    print(json.dumps(report | {"slowest": slowest, "required": REQUIRED, "passed": passed}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
