"""Statistics of the training data, as tables that a release publishes in place of the text.

``sources.csv``: documents and bytes by source, domain, language and split. ``domains.csv``: the largest crawled web
sites. ``shards.csv``: the token shards with their digests.
"""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from altiplano.optional_imports import extra
from altiplano.recipe.schema import Recipe
from altiplano.records import Audit, ShardEntry, ShardList
from altiplano.storage import listed, write_text

SOURCES, DOMAINS, SHARDS = "sources.csv", "domains.csv", "shards.csv"
SOURCE_COLUMNS = ("source", "domain", "language", "split", "documents", "bytes")
DOMAIN_COLUMNS = ("website", "documents", "bytes")
SHARD_COLUMNS = ("path", "split", "domain", "language", "documents", "tokens", "bytes", "sha256")
SHARE, SMALL_SHARE, SMALL_LEAST = 0.10, 0.05, 1000
"""Web sites that the EU's template asks for: the first tenth by size; of small providers 5 %, or 1,000 if fewer."""

Counts = Counter[tuple[str, ...]]


def write_statistics(inputs: Mapping[str, Path], recipe: Recipe, folder: Path) -> list[str]:
    """Write the tables; return their names as ``data/NAME``. Without documents the audit's sums stand in."""
    folder.mkdir(parents=True)
    documents, sizes, sites, site_sizes = count_documents(inputs["curate"], crawled_sources(recipe))
    if not documents:
        for group in Audit.read(inputs["curate"] / "audit.json").kept:
            key = ("", group.domain, group.language, group.split)
            documents[key] += group.documents
            sizes[key] += group.bytes
    rows = [(*key, documents[key], sizes[key]) for key in sorted(documents)]
    write_text(folder / SOURCES, _table(SOURCE_COLUMNS, rows))
    count = sites_to_name(len(sites), recipe.release.small_provider)
    largest = sorted(sites, key=lambda site: (-site_sizes[site], site))[:count]
    write_text(folder / DOMAINS, _table(DOMAIN_COLUMNS, [(*site, sites[site], site_sizes[site]) for site in largest]))
    write_text(folder / SHARDS, shards_table(ShardList.read(inputs["tokenize"] / "shards.json").shards))
    return [f"data/{name}" for name in (SOURCES, DOMAINS, SHARDS)]


def shards_table(shards: Iterable[ShardEntry]) -> str:
    return _table(SHARD_COLUMNS, [tuple(getattr(shard, name) for name in SHARD_COLUMNS) for shard in shards])


def crawled_sources(recipe: Recipe) -> set[str]:
    """Names of the sources whose pages come from the web: archives, and what the recipe says was crawled."""
    stated = {one.name for one in recipe.release.sources if one.kind == "crawled"}
    return stated | {source.name for source in recipe.corpus.sources if source.format == "warc"}


def sites_to_name(sites: int, small: bool) -> int:
    """How many of the crawled web sites the EU's template wants named."""
    if small:
        return min(sites, max(math.ceil(SMALL_SHARE * sites), min(SMALL_LEAST, sites)))
    return math.ceil(SHARE * sites)


def count_documents(curate: Path, crawled: set[str]) -> tuple[Counts, Counts, Counts, Counts]:
    """Documents and bytes that were kept, by source, domain, language and split; and those of training by web site.

    One pass over five columns of the documents; the text is not read.
    """
    documents: Counts = Counter()
    sizes: Counts = Counter()
    sites: Counts = Counter()
    site_sizes: Counts = Counter()
    parts = listed(curate / "documents", "*.parquet")
    if not parts:
        return documents, sizes, sites, site_sizes
    parquet = extra("pyarrow.parquet")
    columns = ["source", "domain", "language", "split", "bytes", "url", "keep"]
    for part in parts:
        for batch in parquet.ParquetFile(part).iter_batches(columns=columns):
            values: dict[str, Sequence[Any]] = batch.to_pydict()
            for row in zip(*(values[name] for name in columns), strict=True):
                *group, size, url, keep = row
                if not keep:
                    continue
                documents[tuple(group)] += 1
                sizes[tuple(group)] += size
                if group[0] in crawled and group[3] == "train" and (site := website(url)):
                    sites[(site,)] += 1
                    site_sizes[(site,)] += size
    return documents, sizes, sites, site_sizes


def website(url: str | None) -> str:
    """The host of an address, without www.; empty when there is none."""
    try:
        host = urlsplit(url or "").hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.")


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()
