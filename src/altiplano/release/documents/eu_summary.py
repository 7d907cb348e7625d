"""``training-content-summary.md``: the public summary of training content (AI Act, Article 53(1)(d)).

It asks what the AI Office's template of 24 July 2025 asks, question by question and in its order: general information,
list of data sources, data processing aspects (compared with summaries that providers published in that form in 2025
and 2026). What a stage measured is filled in, what the recipe's ``[release]`` states is marked as stated, and the rest
says "not stated". Where training took more than 1e25 floating-point operations the model is presumed to have
systemic risk (Article 51(2)), and a part on Article 55 follows. Whether a summary is sufficient is a lawyer's question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from altiplano.formatting import number, percent
from altiplano.recipe.release import SourceKind, SourceStatement
from altiplano.recipe.schema import Recipe, SourceConfig
from altiplano.records import RunFacts
from altiplano.records.run_records import Records, dropped_by_reason
from altiplano.release.documents.bill_of_materials import compute
from altiplano.release.documents.data_statistics import crawled_sources

SYSTEMIC_RISK_FLOP = 1e25
"""Article 51(2) of Regulation (EU) 2024/1689."""
KINDS: dict[SourceKind, str] = {
    "public": "publicly available dataset",
    "licensed": "commercially licensed by rightsholders",
    "third-party": "private, from a third party",
    "crawled": "crawled and scraped",
    "user": "user data",
    "synthetic": "synthetic",
    "other": "other",
}
LARGE = 0.03
"""Of the bytes of all public datasets of a modality: the template wants such a dataset named."""
SIZES = ((1e9, "less than 1 billion tokens"), (1e13, "1 billion to 10 trillion tokens"))
"""The template's ranges for text; above the last one: more than 10 trillion tokens."""


@dataclass(frozen=True)
class Source:
    """A source of the corpus, as the summary lists it."""

    config: SourceConfig
    said: SourceStatement | None
    documents: int
    bytes: int
    languages: list[str]
    crawled: bool

    @property
    def kind(self) -> str:
        """As stated; web archives are crawled by somebody, whom nobody named."""
        if self.said and self.said.kind:
            return KINDS[self.said.kind]
        return "web archives; who crawled them is not stated" if self.crawled else "not stated"


def render_summary(
    recipe: Recipe,
    records: Records,
    facts: RunFacts,
    sources: Sequence[Mapping[str, str]],
    domains: Sequence[Mapping[str, str]],
) -> str:
    """The summary's Markdown; ``sources`` and ``domains`` are rows of the release's tables."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown, not HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["said"] = lambda value: f"{value} (stated)" if value else "not stated"
    environment.filters["cell"] = lambda text: " ".join(str(text).split()).replace("|", "\\|")
    listed = list_sources(recipe, sources)
    kinds = {kind: [one for one in listed if one.said and one.said.kind == kind] for kind in KINDS}
    flop = compute(facts)
    return environment.get_template("training_content_summary.md.j2").render(
        facts=facts,
        stated=recipe.release,
        corpus=recipe.corpus,
        audit=records.audit,
        dropped=dropped_by_reason(records),
        sources=listed,
        kinds=kinds,
        used={kind: is_used(kind, listed) for kind in KINDS},
        large=[one for one in kinds["public"] if one.bytes > LARGE * sum(other.bytes for other in kinds["public"])],
        content=shares(records, "domain"),
        unstated=[one for one in listed if not (one.said and one.said.kind)],
        crawled=[one for one in listed if one.crawled],
        domains=domains,
        size=text_size(facts.tokens),
        languages=shares(records, "language"),
        latest=latest(listed),
        crawl_period=", ".join(
            f"{one.config.name}: {one.said.obtained}" for one in kinds["crawled"] if one.said and one.said.obtained
        ),
        flop=flop,
        systemic=flop is not None and flop > SYSTEMIC_RISK_FLOP,
        evaluation=records.perplexity,
        benchmarks=records.benchmarks,
        redteam=records.redteam,
        number=number,
        percent=percent,
        robots=sorted(source.name for source in recipe.corpus.sources if source.robots),
    )


def list_sources(recipe: Recipe, rows: Sequence[Mapping[str, str]]) -> list[Source]:
    """The recipe's sources with what the table counts of their training text."""
    stated = {one.name: one for one in recipe.release.sources}
    crawled = crawled_sources(recipe)
    found = []
    for config in recipe.corpus.sources:
        own = [row for row in rows if row["source"] == config.name and row["split"] == "train"]
        found.append(
            Source(
                config=config,
                said=stated.get(config.name),
                documents=sum(int(row["documents"]) for row in own),
                bytes=sum(int(row["bytes"]) for row in own),
                languages=sorted({row["language"] for row in own}),
                crawled=config.name in crawled,
            )
        )
    return found


def text_size(tokens: int | None) -> str:
    if tokens is None:
        return "not stated"
    return next((words for limit, words in SIZES if tokens < limit), "more than 10 trillion tokens")


def is_used(kind: SourceKind, sources: Sequence[Source]) -> str:
    """The answer to whether there is data of this kind: no only where the provider has stated the kind of all."""
    stated = [one.said.kind if one.said else None for one in sources]
    if kind in stated:
        return "yes (stated)"
    return "not stated" if None in stated else "no (stated)"


def shares(records: Records, of: Literal["language", "domain"]) -> list[tuple[str, float]]:
    """Languages or domains with their shares of the training text's bytes, the largest first."""
    sizes: dict[str, int] = {}
    for shard in records.shards:
        if shard.split == "train":
            name = shard.language if of == "language" else shard.domain
            sizes[name] = sizes.get(name, 0) + shard.bytes
    total = sum(sizes.values())
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return [(name, size / total) for name, size in ordered] if total else []


def latest(sources: Sequence[Source]) -> str:
    """The latest time at which the recipe says that a source was obtained."""
    said = [one.said.obtained for one in sources if one.said and one.said.obtained]
    return max(said, key=lambda text: text.split()[-1], default="not stated")
