"""``croissant.json``: the data card, in Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html).

The text is not published; what is described and can be loaded are its statistics in ``evidence/data``.
"""

from collections.abc import Mapping
from typing import Any

from altiplano.recipe.schema import Recipe
from altiplano.records import RunFacts
from altiplano.records.run_records import Records
from altiplano.release.documents.data_statistics import (
    DOMAIN_COLUMNS,
    DOMAINS,
    SHARD_COLUMNS,
    SHARDS,
    SOURCE_COLUMNS,
    SOURCES,
)
from altiplano.release.documents.licences import URL, spdx_licence
from altiplano.release.evidence import FOLDER

Json = dict[str, Any]
CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
COLUMNS = {
    "source": "name of the source in the recipe; empty where only sums over sources are known",
    "domain": "web, academic, reference or code",
    "language": "as identified; code for programs",
    "split": "train, or heldout: set aside and never trained on",
    "documents": "documents after filters and deduplication",
    "bytes": "UTF-8 bytes of their text",
    "website": "host, without www.",
    "path": "of the token shard in the run",
    "tokens": "begin and end of documents included",
    "sha256": "of the token file",
}
TABLES = {
    SOURCES: ("sources", SOURCE_COLUMNS, "Documents and bytes by source, domain, language and split."),
    DOMAINS: ("domains", DOMAIN_COLUMNS, "The largest crawled web sites of the training split, by bytes of text."),
    SHARDS: ("shards", SHARD_COLUMNS, "The token shards that training read, and the held-out ones."),
}
NUMBERS = ("documents", "bytes", "tokens")


def croissant(recipe: Recipe, records: Records, facts: RunFacts, tables: Mapping[str, str]) -> Json:
    """The document. ``tables``: sha256 of each table by its name. Validated with mlcroissant by the tests."""
    name = f"{facts.name}-training-data"
    stated = recipe.release
    train = [shard for shard in records.shards if shard.split == "train"]
    sums = {key: sum(getattr(shard, key) for shard in train) for key in NUMBERS}
    licences = sorted({one.license for one in stated.sources if one.license})
    published = facts.ended or "1970-01-01T00:00:00+00:00"
    year = facts.year or "n.d."
    author = stated.provider or "publisher not stated"
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "description": (
            f"Statistics of the text that {facts.name} was trained on: {sums['documents']:,} documents, "
            f"{sums['bytes']:,} bytes, {sums['tokens']:,} tokens. The text itself is not part of this dataset."
        ),
        "version": "1.0.0",
        "datePublished": published[:10],
        "url": stated.contact if stated.contact.startswith("http") else "https://example.invalid/not-stated",
        "license": [_licence(one) for one in licences] or ["not stated"],
        "creator": {"@type": "sc:Organization", "name": author},
        "citeAs": f"{author} ({year}). {name}.",
        "inLanguage": sorted({shard.language for shard in train} - {"code"}) or ["und"],
        "isLiveDataset": False,
        "rai:dataCollection": _collection(recipe),
        "rai:dataPreprocessingProtocol": _protocol(recipe, records),
        "rai:personalSensitiveInformation": _personal(records),
        "rai:dataUseCases": "Pre-training a language model.",
        "rai:dataLimitations": "Languages, domains and sources are those of the table of sources and no others.",
        "distribution": [_file(table, digest) for table, digest in sorted(tables.items())],
        "recordSet": [_record_set(table, *TABLES[table]) for table in sorted(tables)],
    }


def _licence(name: str) -> str:
    return URL.format(spdx_licence(name)) if spdx_licence(name) else name


def _collection(recipe: Recipe) -> str:
    stated = {one.name: one for one in recipe.release.sources}
    parts = []
    for source in recipe.corpus.sources:
        said = stated.get(source.name)
        kind = said.kind if said and said.kind else "kind not stated"
        when = f", obtained {said.obtained}" if said and said.obtained else ""
        parts.append(f"{source.name} ({source.domain}, {source.format}, {kind}{when})")
    return "; ".join(parts) + "."


def _protocol(recipe: Recipe, records: Records) -> list[str]:
    """The steps of curation with what was left after each."""
    steps = records.audit.funnel if records.audit else []
    return [f"{step.step}: {step.documents:,} documents, {step.bytes:,} bytes left" for step in steps] or ["not stated"]


def _personal(records: Records) -> str:
    found = records.audit.personal_data if records.audit else {}
    removed = ", ".join(f"{kind} {count:,}" for kind, count in sorted(found.items()))
    return f"Replaced by rules, which are incomplete: {removed or 'nothing, or not stated'}."


def _file(table: str, digest: str) -> Json:
    return {
        "@type": "cr:FileObject",
        "@id": table,
        "name": table,
        "description": TABLES[table][2],
        "contentUrl": f"{FOLDER}/data/{table}",
        "encodingFormat": "text/csv",
        "sha256": digest,
    }


def _record_set(table: str, name: str, columns: tuple[str, ...], what: str) -> Json:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": what,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": f"{name}/{column}",
                "description": COLUMNS[column],
                "dataType": "sc:Integer" if column in NUMBERS else "sc:Text",
                "source": {"fileObject": {"@id": table}, "extract": {"column": column}},
            }
            for column in columns
        ],
    }
