"""Ten thousand hostile documents of nine formats in one corpus: curation ends, and every byte of them is counted."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from altiplano.corpus.curation import curate
from altiplano.recipe.schema import CorpusConfig, SourceConfig
from corpus.readers.made_warc import response
from corpus.support import ESSAY, audit_of, documents
from corpus.test_linear_time import ELEMENTS, PAGES, RUNS, UNITS

COUNT = 10_000
ALL_UNITS = sorted({unit for units in UNITS.values() for unit in units})
FORMATS = {
    "warc": (
        "web",
        lambda text, n: response(f"https://a.example/{n}", f"<html><body>{text}".encode("utf-8", "replace")),
    ),
    "latex": ("academic", lambda text, n: f"\\documentclass{{a}}\\begin{{document}}{text}".encode("utf-8", "replace")),
    "jats": ("academic", lambda text, n: f"<article><body>{text}</body></article>".encode("utf-8", "replace")),
    "mediawiki": (
        "reference",
        lambda text, n: f"<mediawiki><page><title>{n}</title><revision><text>{text}</text></revision></page>".encode(
            "utf-8", "replace"
        ),
    ),
    "jsonl": ("web", lambda text, n: json.dumps({"text": text}).encode() + b"\n" + text.encode("utf-8", "replace")),
    "text": ("reference", lambda text, n: text.encode("utf-8", "replace")),
    "markdown": ("reference", lambda text, n: text.encode("utf-8", "replace")),
    "rst": ("reference", lambda text, n: text.encode("utf-8", "replace")),
    "code": ("code", lambda text, n: text.encode("utf-8", "replace")),
}
ENDINGS = {
    "mediawiki": "xml", "jats": "xml", "latex": "tex", "text": "txt", "markdown": "md", "code": "py"
}  # fmt: skip


def hostile(chosen: random.Random) -> str:
    """Markup that opens and never closes, long runs, both in one another, among words, cut anywhere."""
    size = int(10 ** chosen.uniform(2, 4.5))
    parts = []
    while sum(map(len, parts)) < size:
        piece = chosen.choice([*ALL_UNITS, *PAGES, *ELEMENTS, *RUNS, "word ", "\n", "\r\n", "\0", "\ufeff", "é"])
        parts.append(piece * min(int(10 ** chosen.uniform(0, 4)), size // len(piece) + 1))
    return "".join(parts)[: chosen.randrange(size // 2, size + 1)]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_hostile_documents_are_all_counted(tmp_path: Path) -> None:
    chosen, written = random.Random(17), 0
    sources = []
    for kind, (domain, make) in FORMATS.items():
        ending = ENDINGS.get(kind, kind)
        folder = tmp_path / "raw" / kind
        folder.mkdir(parents=True)
        for number in range(COUNT // len(FORMATS) + 1):
            data = make(hostile(chosen), number)
            (folder / f"{number}.{ending}").write_bytes(data)
            written += len(data)
        form = "text" if kind in ("markdown", "rst") else kind
        sources.append(SourceConfig(name=kind, domain=domain, format=form, path=f"{kind}/*.{ending}"))
    (tmp_path / "raw" / "text" / "good.txt").write_text(ESSAY)
    corpus = CorpusConfig(root=tmp_path / "raw", sources=tuple(sources), max_bad_records=1.0)
    curate(corpus, 0, tmp_path / "out", workers=2)
    audit = audit_of(tmp_path / "out")
    rows = documents(tmp_path / "out")
    assert {row["source"] for row in rows} >= {"warc", "text", "latex", "code"}
    assert any(row["keep"] for row in rows)
    for balance in audit["balance"]:
        assert balance["unaccounted"] == 0, balance
    assert sum(balance["unpacked"] for balance in audit["balance"]) == written + len(ESSAY.encode())
    slow = [row["source"] for row in rows if row["reason"].startswith("took too long")]
    assert len(slow) < COUNT // 100
    print(f"{len(rows):,} documents, {written:,} bytes, took too long: {Counter(slow)}")
