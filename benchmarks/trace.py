"""How fast a text is traced to its documents on 200 MB of text, whether the counts are right, and what the index takes.

    python benchmarks/trace.py --corpus FOLDER             # laid out as recipes/small.toml says
    python benchmarks/trace.py --corpus FOLDER --peer      # beside infini-gram, in an environment of its own

The texts of the corpus, extracted and not filtered, and after them the source files of this environment's packages,
until there are enough. 10,000 spans of them, some with a changed character, are counted by the index and by comparing
every place of the text with every span that begins alike. Then spans and whole texts, of which half was written anew,
are traced to their documents and training steps. Prints a table and one line of JSON; exits 1 when a count is wrong or
the 95th percentile of a query is above 50 ms.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numba
import numpy as np
import pyarrow as pa
from curation.peer import interpreter
from pyarrow import parquet

from altiplano.corpus.extraction.extract import extract
from altiplano.corpus.readers.listing import plan
from altiplano.corpus.readers.raw import RawDocument
from altiplano.corpus.readers.read import read
from altiplano.execution.local import InProcess, processors
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.records import StageManifest
from altiplano.stages.run import recipe_toml
from altiplano.tokens.encode import encode_documents
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.trace import Index
from altiplano.trace.trace import Tracer

WANTED = 200_000_000
"""Bytes of text."""
SPANS, TRACED = 10_000, 300
DEMANDED = 0.050
"""Seconds."""
SAMPLE = 20_000_000
"""Bytes that the vocabulary is learnt from."""
FILE_BYTES = 16_000_000
LONGEST = 400_000
"""Characters of a document."""
INFINI_GRAM = ("infini-gram==2.6.0", "numpy")
BUILD = """
import resource, sys
from pathlib import Path
from altiplano.trace import build_index
build_index(Path(sys.argv[1]))
print(1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Prints the largest worker's memory: here it would be this process's own, which a child begins with."""
WORKER = Path(__file__).parent / "trace_infini_gram.py"

generator = random.Random(0)


def texts(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """Domain, place and text of every document."""
    for task in plan(recipe.corpus):
        for record in read(task, {}):
            if isinstance(record, RawDocument):
                text = extract(record)
                for at in range(0, len(text), LONGEST):
                    yield task.source.domain, record.url or record.place, text[at : at + LONGEST]
    packages = Path(np.__file__).parents[1]
    for path in sorted(packages.rglob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        yield "code", str(path.relative_to(packages)), text[:LONGEST]


def make_run(recipe: Recipe, run: Path) -> None:
    """Curated documents, unfiltered; a tokenizer; token shards."""
    (run / "curate" / "documents").mkdir(parents=True)
    (run / "tokenize" / "tokenizer").mkdir(parents=True)
    rows: list[dict[str, object]] = []
    sample: list[str] = []
    size = written = 0
    for domain, place, text in texts(recipe):
        own = len(text.encode("utf-8", "replace"))
        row = {"id": f"{size:032x}", "text": text, "source": domain, "domain": domain, "url": place, "words": 1}
        rows.append({**row, "language": "code" if domain == "code" else "en", "split": "train", "bytes": own})
        size += own
        if generator.random() < SAMPLE / WANTED:
            sample.append(text)
        if size - written >= FILE_BYTES or size >= WANTED:
            write_documents(run, rows)
            rows, written = [], size
        if size >= WANTED:
            break
    write_manifest(run, "curate", {})
    Tokenizer.train(sample, recipe.model.vocab_size).save(run / "tokenize" / "tokenizer")
    encode_documents(run / "curate", run / "tokenize" / "tokenizer", run / "tokenize", InProcess())
    write_manifest(run, "tokenize", {"curate": "curate"})
    (run / "recipe.toml").write_text(recipe_toml(recipe))


def write_documents(run: Path, rows: list[dict[str, object]]) -> None:
    folder = run / "curate" / "documents"
    path = folder / f"part-{len(list(folder.iterdir())):05d}.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), path, compression="zstd", row_group_size=512)


def write_manifest(run: Path, stage: str, inputs: dict[str, str]) -> None:
    made = StageManifest(stage=stage, version="0", recipe={}, inputs=inputs, outputs={}, counts={}, hash=stage)
    made.write(run / stage / "manifest.json")


def whole_text(index: Index) -> np.ndarray:
    """Every document's bytes, decoded by the tokenizer and not by the index, each after a byte that no text has."""
    pieces = []
    for shard in index.shards:
        for number in range(shard.documents):
            pieces += [b"\xff", index.tokenizer.decode_bytes(shard.document(number).tolist())]
    return np.frombuffer(b"".join(pieces), np.uint8)


def choose_spans(text: bytes, count: int) -> list[bytes]:
    """Of four bytes to some hundred, most of them short; those of three words or more are cut to whole words. Of every
    fourth, one character is changed.

    None begins with white space: a fifth of all places do, and brute force would compare hundreds of spans at each.
    """
    found: list[bytes] = []
    while len(found) < count:
        at, size = generator.randrange(len(text)), int(4 * 100 ** generator.random())
        span = text[at : at + size].partition(b"\xff")[0].decode("utf-8", "ignore").lstrip()
        if len(span.split()) > 2 and text[at - 1 : at].strip() and span.find(" ") > 0:
            span = span.partition(" ")[2].lstrip()
        if len(span.split()) > 2:
            span = span.rpartition(" ")[0].rstrip() or span
        if len(found) % 4 == 0 and span:
            place = generator.randrange(len(span))
            span = span[:place] + generator.choice("etaoin") + span[place + 1 :]
        if len(span.encode()) >= 4:
            found.append(span.encode())
    return found


def brute_force(text: np.ndarray, spans: Sequence[bytes]) -> list[int]:
    """How often each span stands in the text, by comparing it at every place that begins with its four bytes."""
    sizes = np.array([len(span) for span in spans])
    begins = np.concatenate([[0], np.cumsum(sizes)])
    return _compare(text, np.frombuffer(b"".join(spans), np.uint8), begins).tolist()


@numba.njit(cache=True)
def _compare(text, spans, begins):  # type: ignore[no-untyped-def]
    buckets = np.full(1 << 20, -1, np.int64)
    following = np.full(len(begins) - 1, -1, np.int64)
    counts = np.zeros(len(begins) - 1, np.int64)
    for span in range(len(begins) - 1):
        at = begins[span]
        key = (spans[at] | spans[at + 1] << 8 | spans[at + 2] << 16 | spans[at + 3] << 24) * 2654435761 % (1 << 20)
        following[span] = buckets[key]
        buckets[key] = span
    for place in range(len(text) - 3):
        key = text[place] | text[place + 1] << 8 | text[place + 2] << 16 | text[place + 3] << 24
        span = buckets[key * 2654435761 % (1 << 20)]
        while span >= 0:
            size = begins[span + 1] - begins[span]
            if place + size <= len(text):
                same = 0
                while same < size and text[place + same] == spans[begins[span] + same]:
                    same += 1
                counts[span] += same == size
            span = following[span]
    return counts


def answers(index: Index, characters: int, count: int) -> list[str]:
    """Texts like those that a model writes: a passage of a document, and as much whose words are in another order."""
    made: list[str] = []
    while len(made) < count:
        shard = generator.choices(index.shards, [shard.tokens for shard in index.shards])[0]
        text = index.tokenizer.decode(shard.document(generator.randrange(shard.documents)).tolist())
        if len(text) < characters:
            continue
        at = generator.randrange(len(text) - characters + 1)
        half = at + characters // 2
        words = text[half : at + characters].split(" ")
        generator.shuffle(words)
        made.append(text[at:half] + " ".join(words))
    return made


def seconds(work: Callable[[str], object], asked: Sequence[str]) -> dict[str, float]:
    """Median and 95th percentile of the seconds of processor time that each of ``asked`` takes: what other programs
    take of a shared machine does not count. The index is in the page cache."""
    times = []
    for one in asked:
        begun = time.process_time()
        work(one)
        times.append(time.process_time() - begun)
    return {"median": statistics.median(times), "p95": statistics.quantiles(times, n=20)[-1]}


def beside_infini_gram(index: Index, text: np.ndarray, spans: list[bytes], folder: Path) -> dict[str, float]:
    """Its index of the same bytes, and of the same tokens: seconds, bytes, and counts of the spans."""
    python = interpreter("infini-gram", INFINI_GRAM)
    streams = {"u8": text, "u16": np.concatenate([np.asarray(shard.data) for shard in index.shards])}
    asked = {"u8": [list(span) for span in spans], "u16": [index.tokenizer.encode(span.decode()) for span in spans]}
    for kind, stream in streams.items():
        (folder / kind).mkdir()
        stream.tofile(folder / kind / "tokenized.0")
        begins = np.flatnonzero(stream == (255 if kind == "u8" else index.tokenizer.bos))
        (begins * stream.itemsize).astype(np.uint64).tofile(folder / kind / "offset.0")
        # the end token of bytes is one that UTF-8 does not have either, and that fits what the engine takes
        given = {"eos": 254 if kind == "u8" else index.tokenizer.eos, "asked": asked[kind]}
        (folder / kind / "queries.json").write_text(json.dumps(given))
    report: dict[str, float] = {}
    ours = np.array([index.count(span.decode()) for span in spans])
    for kind in streams:
        done = subprocess.run(
            [str(python), str(WORKER), kind, str(folder / kind)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"infini-gram: exit status {done.returncode}\n{done.stderr[-3000:]}")
        theirs = json.loads(done.stdout.splitlines()[-1])
        counts = np.array(theirs["counts"])
        report |= {f"{kind}_{name}": theirs[name] for name in ("build_seconds", "index_bytes", "p95")}
        report[f"{kind}_equal"] = float((counts == ours).mean())
        report[f"{kind}_fewer"] = float((counts < ours).mean())
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="a folder of raw data, as recipes/small.toml has it")
    parser.add_argument("--peer", action="store_true", help="compare with infini-gram, which is installed beside")
    options = parser.parse_args()
    recipe = load_recipe("small", [f"corpus.root={Path(options.corpus).resolve()}"])
    with tempfile.TemporaryDirectory(prefix="altiplano-") as temporary:
        run = Path(temporary) / "run"
        make_run(recipe, run)
        begun = time.perf_counter()
        peak = int(subprocess.run([sys.executable, "-c", BUILD, str(run)], check=True, stdout=subprocess.PIPE).stdout)
        built = time.perf_counter() - begun
        begun = time.perf_counter()
        tracer = Tracer(run)
        opened, index = time.perf_counter() - begun, tracer.index
        size = sum(path.stat().st_size for path in index.folder.iterdir())
        text = whole_text(index)
        spans = choose_spans(text.tobytes(), SPANS)
        found = [index.count(span.decode()) for span in spans]
        counted = brute_force(text, spans)
        wrong = sum(one != other for one, other in zip(found, counted, strict=True))
        queries = {"count a span": seconds(index.count, [span.decode() for span in spans])}
        long_spans = [span.decode() for span in choose_spans(text.tobytes(), 6 * TRACED) if len(span) > 40][:TRACED]
        queries["trace a span of 40 to 400 bytes"] = seconds(tracer.trace, long_spans)
        for characters in (500, 1000):
            queries[f"trace a text of {characters:,} characters"] = seconds(
                tracer.trace, answers(index, characters, TRACED)
            )
        report: dict[str, object] = {
            "text_bytes": len(text),
            "documents": sum(shard.documents for shard in index.shards),
            "tokens": sum(shard.tokens for shard in index.shards),
            "parts": len(index.record.parts),
            "build_seconds": built,
            "workers": min(len(index.record.parts), processors()),
            "worker_peak_bytes": peak,
            "index_bytes": size,
            "open_seconds": opened,
            "spans": len(spans),
            "absent": counted.count(0),
            "wrong": wrong,
            "queries": queries,
        }
        print(f"{len(text) / 1e6:,.0f} MB of text, {report['documents']:,} documents, {report['tokens']:,} tokens")
        print(f"index: {built:,.1f} s by {report['workers']} processes of at most {peak / 1e6:,.0f} MB each, ", end="")
        print(f"{size / 1e6:,.0f} MB, {size / len(text):.2f} bytes a byte; opened the first time in {opened:.1f} s")
        print(
            f"{len(spans):,} spans ({counted.count(0):,} of them nowhere): {wrong} counted otherwise than brute force\n"
        )
        print(f"{'':<36} {'median':>9} {'95 %':>9}")
        for name, times in queries.items():
            print(f"{name:<36} {1000 * times['median']:>6.2f} ms {1000 * times['p95']:>6.2f} ms")
        if options.peer:
            theirs = beside_infini_gram(index, text, spans, Path(temporary))
            report["infini_gram"] = theirs
            print("\ninfini-gram 2.6.0, counting the same spans")
            for kind, what in (("u8", "of bytes"), ("u16", "of tokens")):
                print(
                    f"  index {what:<10} {theirs[f'{kind}_build_seconds']:>6.1f} s, "
                    f"{theirs[f'{kind}_index_bytes'] / 1e6:,.0f} MB, 95 % in {1000 * theirs[f'{kind}_p95']:.3f} ms; "
                    f"{theirs[f'{kind}_equal']:.1%} of the counts as ours, {theirs[f'{kind}_fewer']:.1%} lower"
                )
    slowest = max(times["p95"] for times in queries.values())
    passed = not wrong and slowest <= DEMANDED
    print(f"\nslowest 95th percentile: {1000 * slowest:.1f} ms, at most {1000 * DEMANDED:.0f} ms is demanded")
    print(json.dumps(report | {"demanded": DEMANDED, "passed": passed}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
