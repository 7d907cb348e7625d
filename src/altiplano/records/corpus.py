"""What happened to the raw text, and the token shards made of it: ``audit.json``, ``counts.json``, ``shards.json``."""

from typing import ClassVar

from pydantic import Field

from altiplano.records.record import FileRecord, ListRecord, Number, Record


class TextAmount(Record):
    """An amount of text."""

    documents: int = Field(description="Documents")
    bytes: int = Field(description="Bytes of text (UTF-8), raw bytes where nothing was extracted yet")


class FunnelStep(TextAmount):
    """What is left after a step of curation."""

    step: str = Field(description="Name of the step")


class FunnelGroup(Record):
    """What is left of one domain and language after each step of the funnel."""

    group: str = Field(description="domain.language")
    documents: list[int] = Field(description="After each step")


class TextGroup(TextAmount):
    """Documents of one domain and language."""

    domain: str = Field(description="Of the source")
    language: str = Field(description="As identified")


class DroppedGroup(TextGroup):
    """Documents of one domain and language that were dropped for one reason."""

    reason: str = Field(description="Why")


class KeptGroup(TextGroup):
    """Documents of one domain and language that were kept."""

    split: str = Field(description="train or heldout")


class GeneralLimit(Record):
    """A limit of prose as it stands where no trusted text says otherwise."""

    column: str = Field(description="What is measured")
    largest: bool = Field(description="true: documents may have at most this; false: at least")
    limit: Number = Field(description="The limit")


class GroupThresholds(Record):
    """The limits of one domain and language that gave way to trusted text."""

    domain: str = Field(description="Of the source")
    language: str = Field(description="As identified")
    basis: str = Field(description="The trusted text: a language, domain.language, or general (none)")
    trusted: int = Field(description="Trusted documents")
    limits: dict[str, Number] = Field(description="By what is measured; only those that differ from the general ones")


class Thresholds(Record):
    """The limits that were applied to prose."""

    trusted_share: float = Field(description="Share of trusted documents that pass each limit")
    general: list[GeneralLimit] = Field(default_factory=list, description="The general limits")
    groups: list[GroupThresholds] = Field(default_factory=list, description="By domain and language")


class PerplexityLimits(Record):
    """Perplexities between the thirds of a domain and language, and the largest that is kept."""

    head: float = Field(description="Below it the best third")
    middle: float = Field(description="Below it the middle third")
    largest: float | None = Field(description="At most this is kept; null: all are")


class EnglishPage(Record):
    """An English page in a translated collection."""

    url: str = Field(description="Where")
    text: str = Field(description="How it begins")
    fate: str = Field(description="kept, or why it was dropped")


class UntranslatedCollection(Record):
    """A source that claims a language and holds English pages. Numbers are of documents."""

    source: str = Field(description="Name in the recipe")
    declared: str = Field(description="Language that its files claim")
    documents: int = Field(description="All")
    translated: int = Field(description="In the claimed language")
    english: int = Field(description="In English")
    mixed: int = Field(description="Translated, with many English lines")
    kept: int = Field(description="English ones that were kept as English")
    pages: list[EnglishPage] = Field(description="Some of the English ones")


class UnreadableRecords(Record):
    """Records of one source that could not be read for one reason."""

    source: str = Field(description="Name in the recipe")
    reason: str = Field(description="Why")
    count: int = Field(description="Records")
    bytes: int | None = Field(default=None, description="Raw bytes")
    example: str = Field(description="Where one of them is")


class BenchmarkLeaks(Record):
    """What of one benchmark stood in training documents, which were dropped."""

    name: str = Field(description="Its file")
    items: int = Field(description="Items that differ")
    too_short: int = Field(
        description="Items that were not looked for: they say too little to be told from ordinary text"
    )
    items_found: int = Field(description="Items that stood in these documents")
    documents: int = Field(description="Documents dropped")


class ByteBalance(Record):
    """Where the bytes went that came out of raw files: unpacked is the sum of the others."""

    unpacked: int = Field(description="All bytes, of compressed files after decompression")
    documents: int = Field(description="Of documents that were read")
    left_out: int = Field(description="Of records that are whole but not wanted")
    lost: int = Field(description="Of records that could not be read")
    framing: dict[str, int] = Field(default_factory=dict, description="What holds the records together, by name")


class SourceBalance(ByteBalance):
    """Where the bytes of one source went."""

    source: str = Field(description="Name in the recipe")
    unaccounted: int = Field(description="unpacked without the sum of the others: 0, or a reader is at fault")


class HeldoutOverlap(Record):
    """How much of the held-out text stands in training text as well. Numbers are of held-out documents."""

    ngram: int = Field(description="Words in a row that count")
    documents: int = Field(description="All")
    with_any_overlap: int = Field(description="With at least one such run")
    mean_overlap: float = Field(description="Mean share of a document's words in such runs")
    dropped: int = Field(default=0, description="Dropped for too much of it")
    benchmarks: list[BenchmarkLeaks] = Field(default_factory=list, description="What of them was in training text")


class RuleExample(Record):
    """Text by which a person can judge a rule."""

    reason: str = Field(description="Name of the rule")
    kept: bool = Field(default=False, description="false: dropped by it; true: only just kept")
    text: str = Field(description="How the document begins")
    url: str | None = Field(default="", description="Where it is from")
    source: str = Field(description="Name in the recipe")
    language: str = Field(description="As identified")
    value: float | None = Field(default=None, description="What the rule measured")
    limit: float | None = Field(default=None, description="What it compared with")


class ClassifierVerdicts(Record):
    """How perplexity and the classifier decided on documents of one domain and language. Numbers are of documents."""

    group: str = Field(description="domain.language")
    smallest: float = Field(description="The least probability that the classifier keeps")
    both_keep: int = Field(description="Neither drops them")
    only_perplexity_drops: int = Field(description="Dropped for perplexity alone")
    only_classifier_drops: int = Field(description="Dropped by the classifier alone")
    both_drop: int = Field(description="Both would drop them")


class AuditSample(Record):
    """What the examples were chosen from."""

    per_group: int = Field(description="Documents of each domain and language, at most")
    documents: int = Field(description="Documents")


class Audit(FileRecord):
    """``audit.json``: what curation kept and dropped, counted, with examples."""

    ENSURE_ASCII: ClassVar[bool] = False

    raw: TextAmount = Field(description="What was read")
    funnel: list[FunnelStep] = Field(description="What is left after each step")
    groups: list[FunnelGroup] = Field(default_factory=list, description="The funnel of each domain and language")
    dropped: list[DroppedGroup] = Field(description="By reason, domain and language")
    kept: list[KeptGroup] = Field(description="By domain, language and split")
    thresholds: Thresholds | None = Field(default=None, description="The limits that were applied")
    perplexity: dict[str, PerplexityLimits] = Field(default_factory=dict, description="By domain.language")
    classifier: list[ClassifierVerdicts] = Field(default_factory=list, description="Beside perplexity's decisions")
    disagreements: list[RuleExample] = Field(
        default_factory=list, description="Text that only perplexity or only the classifier drops"
    )
    untranslated: list[UntranslatedCollection] = Field(default_factory=list, description="English in translations")
    personal_data: dict[str, int] = Field(default_factory=dict, description="Pieces removed, by kind")
    bad_records: list[UnreadableRecords] = Field(default_factory=list, description="What could not be read")
    balance: list[SourceBalance] = Field(default_factory=list, description="Where the raw bytes went, by source")
    heldout_overlap: HeldoutOverlap | None = Field(default=None, description="Held-out text in training text")
    examples: list[RuleExample] = Field(default_factory=list, description="To judge each rule by")
    sampled: AuditSample | None = Field(default=None, description="What the examples were chosen from")
    salt: str = Field(default="", description="Of the hashes of personal data")


class UnreadableCount(Record):
    """Records of one shard that could not be read for one reason."""

    reason: str = Field(description="Why")
    count: int = Field(description="Records")
    bytes: int = Field(default=0, description="Raw bytes")
    example: str = Field(description="Where one of them is")


class ShardCounts(TextAmount):
    """What one task of reading raw files found. Bytes are raw."""

    source: str = Field(description="Name in the recipe")
    lost: int = Field(default=0, description="Records that could not be read")
    given_up_bytes: int = Field(default=0, description="Of raw files in which nobody knows how many records there are")
    bad: list[UnreadableCount] = Field(default_factory=list, description="By reason")
    balance: ByteBalance | None = Field(default=None, description="Where the bytes went")
    personal_data: dict[str, int] = Field(default_factory=dict, description="Pieces removed, by kind")


class CurationCounts(ListRecord[ShardCounts]):
    """``counts.json``: what was read, task by task."""


class ShardEntry(TextGroup):
    """The token shard of one split, domain and language."""

    path: str = Field(description="In the folder of shards.json, without its ending")
    split: str = Field(description="train or heldout")
    tokens: int = Field(description="Begin and end of documents included")
    words: int = Field(default=0, description="In the texts; 0 when not counted")
    sha256: str = Field(default="", description="Of the token file")


class ShardList(FileRecord):
    """``shards.json``: the token shards."""

    CHECKED: ClassVar[bool] = True

    vocabulary: int = Field(description="Tokens that the tokenizer knows")
    dtype: str = Field(description="Of the token files: uint16 or int32")
    shards: list[ShardEntry] = Field(description="By path")
