"""Small files of every format and compression, with what is in them."""

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from altiplano.corpus.readers.formats import arxiv, code, jats_articles, jsonl, mediawiki_dump, parquet, text
from altiplano.corpus.readers.raw import Record
from altiplano.corpus.readers.web_archives import warc
from corpus.readers.made_warc import page, record, response, words

Reader = Callable[[Path, str], Iterator[Record]]


def arrow(codec: str, data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": partial(gzip.compress, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": partial(arrow, "zstd"),
    ".lz4": partial(arrow, "lz4"),
}


def sentence(number: int) -> str:
    return words(number, 40 + number % 7).decode()


def json_lines(count: int = 40) -> bytes:
    return b"".join(json.dumps({"id": i, "text": f"{i} {sentence(i)}"}).encode() + b"\n" for i in range(count))


def web_archive(count: int = 15) -> bytes:
    info = record("", b"software: none", kind="warcinfo", media="application/warc-fields")
    return info + b"".join(response(i, page(i)) for i in range(count))


def web_members(count: int = 15) -> bytes:
    return b"".join(gzip.compress(response(i, page(i)), mtime=0) for i in range(count))


def extracted_texts(count: int = 15) -> bytes:
    return b"".join(record(f"http://a.example/{i}", words(i), "conversion", "text/plain") for i in range(count))


def tar_of(ending: str, count: int = 12) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for i in range(count):
            data = f"\\section{{{i}}} {sentence(i)}\n".encode()
            member = tarfile.TarInfo(f"folder/{i}{'x' * 120 if i == 3 else ''}{ending}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return sink.getvalue()


def zip_of(ending: str, count: int = 12) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(count):
            archive.writestr(f"folder/{i}{ending}", f"\\section{{{i}}} {sentence(i)}\n")
    return sink.getvalue()


def dump(count: int = 20) -> bytes:
    pages = "".join(
        f"<page><title>T{i}</title><ns>0</ns><revision><text>{i} {sentence(i)}</text></revision></page>\n"
        for i in range(count)
    )
    return f"<mediawiki><siteinfo><base>http://a.example/wiki/Main</base></siteinfo>\n{pages}</mediawiki>".encode()


def article(number: int) -> str:
    return f"<article><body><p>{number} {sentence(number)}</p></body></article>\n"


def table(count: int = 60) -> bytes:
    sink = io.BytesIO()
    texts = pa.table({"text": [f"{i} {sentence(i)}" for i in range(count)], "url": [str(i) for i in range(count)]})
    pq.write_table(texts, sink, row_group_size=10, write_page_checksum=True)
    return sink.getvalue()


FILES: dict[str, tuple[bytes, Reader]] = {
    "a.jsonl": (json_lines(), jsonl.read),
    "a.json": (b"[" + b",\n".join(json_lines().splitlines()) + b"]\n", jsonl.read),
    "wide.jsonl": (json_lines().decode().encode("utf-16"), jsonl.read),
    "a.warc": (web_archive(), warc.read),
    "members.warc.gz": (web_members(), warc.read),
    "a.wet": (extracted_texts(), warc.read),
    "a.txt": (sentence(1).encode() * 20, text.read),
    "a.py": (b"x = 1  # " + sentence(1).encode(), code.read),
    "a.tex": (b"\\section{A} " + sentence(2).encode(), arxiv.read),
    "texts.tar": (tar_of(".txt"), text.read),
    "papers.tar": (tar_of(".tex"), arxiv.read),
    "code.zip": (zip_of(".py"), code.read),
    "texts.zip": (zip_of(".txt"), text.read),
    "a.xml": (dump(), mediawiki_dump.read),
    "a.nxml": (article(1).encode(), jats_articles.read),
    "many.nxml": (f"<articles>{''.join(map(article, range(8)))}</articles>".encode(), jats_articles.read),
    "a.parquet": (table(), parquet.read),
}
PACKED_ALREADY = ("members.warc.gz", "code.zip", "texts.zip", "a.parquet")


def all_files() -> Iterator[tuple[str, bytes, Reader]]:
    """Each under each compression that its format may have."""
    for name, (data, reader) in FILES.items():
        for suffix, compress in COMPRESS.items():
            if not suffix or name not in PACKED_ALREADY:
                yield name + suffix, compress(data), reader


KINDS = ("cut", "flip", "zeros", "out", "double", "noise", "insert")


def damaged(data: bytes, chosen: random.Random, kinds: tuple[str, ...] = KINDS) -> bytes:
    """Cut, with bits flipped, with zeros, or with a stretch taken out, doubled or moved."""
    at, other = sorted(chosen.randrange(len(data)) for _ in range(2))
    kind = chosen.choice(kinds)
    if kind == "cut":
        return data[:at]
    if kind == "flip":
        changed = bytearray(data)
        for _ in range(chosen.choice((1, 1, 1, 5, 30))):
            changed[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        return bytes(changed)
    middle = data[at : min(other, at + chosen.choice((1, 16, 300, 2000)))]
    rest = data[at + len(middle) :]
    new = {
        "zeros": bytes(len(middle)),
        "out": b"",
        "double": middle * 2,
        "noise": chosen.randbytes(len(middle)),
        "insert": middle + chosen.randbytes(7),
    }[kind]
    return data[:at] + new + rest
