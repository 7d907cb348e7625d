"""Our perplexities beside those of lmplz and kenlm: the same text, orders 3 to 5, with and without pruning.

    python benchmarks/lmplz.py TEXT.jsonl.gz ...

PyPI's kenlm only reads models, but its source holds lmplz. The first run builds it under ``benchmarks/.cache`` with g++
and the Boost of the package cmeel-boost, which takes some two minutes. Every other document trains, the rest is scored.
Exit status 1 when a perplexity differs by more than one in ten thousand or the numbers of n-grams differ.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kenlm
import numpy as np

from altiplano.corpus.perplexity import ngram_model
from altiplano.corpus.perplexity.arpa import spell
from altiplano.corpus.words import word_hashes

CACHE = Path(__file__).parent / ".cache" / "lmplz"
CASES = ((3, (1,)), (4, (1,)), (5, (1,)), (3, (1, 1, 2)), (4, (1, 2, 2)), (5, (1, 1, 2, 3)))
TOLERANCE = 1e-4
FLAGS = ["-O2", "-std=c++17", "-DKENLM_MAX_ORDER=6", "-DHAVE_ZLIB", "-DNDEBUG"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="JSON lines with a text each, plain or gzip")
    texts = [text for path in parser.parse_args().files for text in read(path)]
    train, test = texts[::2], texts[1::2]
    program, failed = build(), False
    hashed, scored = [word_hashes(text) for text in train], [word_hashes(text) for text in test]
    spelt = [spell(text) for text in test]
    with tempfile.TemporaryDirectory() as folder:
        text, arpa = Path(folder) / "text", Path(folder) / "arpa"
        text.write_text("".join(" ".join(spell(document)) + "\n" for document in train), encoding="utf-8")
        for order, minima in CASES:
            least = [1, *(minima[min(k, len(minima) - 1)] for k in range(1, order))]
            command = [program, "-o", str(order), "--discount_fallback", "-S", "1G", "-T", folder, "--text", text]
            command += ["--arpa", arpa, "--prune", *(str(count - 1) for count in least)]
            subprocess.run(command, check=True, capture_output=True)
            oracle = kenlm.Model(str(arpa))
            theirs = np.array([10 ** (-oracle.score(" ".join(words)) / (len(words) + 1)) for words in spelt])
            model = ngram_model.train(hashed, order, minima)
            ours = ngram_model.perplexities(model, scored)
            worst = float(np.abs(ours / theirs - 1).max())
            with arpa.open(encoding="utf-8") as lines:
                next(lines)  # \\data\\
                sizes = [int(next(lines).split("=")[1]) for _ in range(order)]
            same = sizes[1:] == [len(keys) for keys in model.keys[1:]]
            failed = failed or worst > TOLERANCE or not same
            print(
                f"order {order}, least counts {least}: {sum(sizes):,} n-grams, {len(test)} documents, "
                f"median {np.median(ours):.3f} and {np.median(theirs):.3f}, largest difference {worst:.1e}"
                f"{'' if same else ', OTHER NUMBER OF N-GRAMS'}"
            )
    sys.exit(failed)


def read(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        return [text for line in lines if (text := json.loads(line)["text"]).strip()]


def build() -> Path:
    """The program's path; compiles it at the first call."""
    program = CACHE / "lmplz"
    if program.exists():
        return program
    CACHE.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", "--target", CACHE / "boost", "cmeel-boost"], check=True)
    subprocess.run([*pip, "download", "--no-deps", "--no-binary", "kenlm", "-d", CACHE, "kenlm"], check=True)
    [archive] = CACHE.glob("kenlm-*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(CACHE, filter="data")
    root, boost = archive.with_name(archive.name.removesuffix(".tar.gz")), CACHE / "boost" / "cmeel.prefix"
    folders = ("util", "util/stream", "util/double-conversion", "lm", "lm/common", "lm/builder")
    files = [file for folder in folders for file in sorted((root / folder).glob("*.cc"))]
    files = [file for file in files if not file.stem.endswith(("_test", "_main"))] + [root / "lm/builder/lmplz_main.cc"]

    def compile_one(file: Path) -> Path:
        output = CACHE / (file.relative_to(root).as_posix().replace("/", "_") + ".o")
        include = [f"-I{root}", f"-I{boost / 'include'}"]
        subprocess.run(["g++", *FLAGS, *include, "-c", file, "-o", output], check=True, capture_output=True)
        return output

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, files))
    libraries = [
        f"-L{boost / 'lib'}",
        f"-Wl,-rpath,{boost / 'lib'}",
        "-lboost_program_options",
        "-lboost_thread",
        "-lz",
    ]
    subprocess.run(["g++", *objects, *libraries, "-lpthread", "-o", program], check=True)
    return program


if __name__ == "__main__":
    main()
