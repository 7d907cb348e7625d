"""``texts.json``: how well a model predicts given texts, with the settings that the figures depend on."""

from pydantic import Field

from altiplano.records.record import FileRecord, Interval, Record
from altiplano.records.training import TextScores


class PositionBand(Record):
    """Tokens at some places of their documents."""

    first: int = Field(description="First place, from 0")
    end: int | None = Field(description="First place after them; null: to the end of the document")
    documents: int = Field(description="That are so long")
    tokens: int = Field(description="In all of them")
    bytes: int = Field(description="Of these tokens")
    bits_per_byte: float = Field(description="Of these tokens")
    interval: Interval | None = Field(description="Of bits_per_byte, over documents, 95 %; null of one document")


class ScoredTexts(TextScores):
    """The documents of a file, or of a folder's text files."""

    documents: int = Field(description="With text")
    empty: int = Field(description="Without any: not scored")
    interval: Interval | None = Field(description="Of bits_per_byte, over documents, 95 %; null of one document")
    bands: list[PositionBand] = Field(description="By place in the document")
    digest: str = Field(default="", description="A hash of its texts")


class TextEvaluation(FileRecord):
    """Rolling perplexity, as lm-evaluation-harness defines it."""

    model: str = Field(description="Name of the model")
    fingerprint: str = Field(default="", description="Of its weights")
    window: int = Field(description="Tokens that the model sees at once, at most")
    stride: int = Field(description="Tokens that a window predicts, but for the first one; as many as window: disjoint")
    begins_with: str = Field(description="The token that the first one of a document is predicted from")
    groups: dict[str, ScoredTexts] = Field(description="By name of the file or folder")
