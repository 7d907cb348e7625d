"""What a document must be like to be kept: limits of its annotations, trusted text, and the perplexity filter."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from altiplano.recipe.units import Count, Section


class ProseLimits(Section):
    """Largest and smallest values that annotations of prose may have: after ``max_`` or ``min_`` comes the column.

    Gopher's, C4's and FineWeb's rules; those marked web are asked of web pages only. Where
    ``corpus.quality.thresholds`` is ``reference`` a limit gives way to trusted text of the language.
    """

    max_english: float = Field(0.5, description="share of English lines in a text of another language")
    max_symbols: float = Field(0.35, description="share of characters that are neither letters, digits nor spaces")
    max_word_length: float = Field(12.0, description="mean letters and digits per word")
    max_hash_signs: float = Field(0.1, description="number signs per word")
    max_ellipses: float = Field(0.1, description="ellipses per word")
    min_alphabetic_words: float = Field(
        0.7, description="of the words with letters or digits between spaces, the share with letters"
    )
    min_stop_words: float = Field(2, description="different function words of the language")
    max_repeated_lines: float = Field(0.2, description="share of characters in lines that came before")
    max_repeated_line_count: float = Field(0.3, description="share of lines that came before")
    max_repeated_paragraphs: float = Field(0.2, description="share of characters in paragraphs that came before")
    max_repeated_paragraph_count: float = Field(0.3, description="share of paragraphs that came before")
    max_top_2grams: float = Field(0.2, description="share of characters in the most frequent pair of words")
    max_top_3grams: float = 0.18
    max_top_4grams: float = 0.16
    max_duplicate_5grams: float = Field(0.15, description="share of characters in word 5-grams that came before")
    max_duplicate_6grams: float = 0.14
    max_duplicate_7grams: float = 0.13
    max_duplicate_8grams: float = 0.12
    max_duplicate_9grams: float = 0.11
    max_duplicate_10grams: float = 0.10
    max_bullet_lines: float = Field(0.9, description="share of lines that begin with a bullet")
    max_ellipsis_lines: float = Field(0.3, description="share of lines that end with an ellipsis")
    min_punctuated_lines: float = Field(0.12, description="web: share of lines that end a sentence")
    max_short_lines: float = Field(0.67, description="web: share of lines of at most 30 characters, ideographs 15")
    max_lines_per_word: float = Field(0.3, description="web: lists have many lines for few words")
    min_sentences: float = Field(3, description="web: marks that end a sentence")
    max_braces: float = Field(0.02, description="web: curly brackets per character")
    max_boilerplate: float = Field(0.2, description="web: mentions of cookies, policies and JavaScript per line")
    max_lorem_ipsum: float = Field(0, description="web: 1 where the filler text occurs")
    max_listed_words: float = Field(0.05, description="share of words on corpus.quality.word_lists")
    max_personal_data: float = Field(15, description="pieces of personal data per 1,000 characters")


class CodeLimits(Section):
    """The same for source code, which no language shifts."""

    max_symbols: float = 0.5
    max_word_length: float = 25.0
    max_line_length: float = Field(120, description="mean characters per line; minified files have more")
    max_longest_line: float = Field(2000, description="characters")
    min_alphanumeric: float = Field(0.25, description="share of letters and digits")
    max_comments: float = Field(0.8, description="share of lines that are comments")
    max_generated: float = Field(0, description="1 where a file says that a program wrote it")
    min_parses: float = Field(1, description="0 where a Python file has a syntax error")
    max_repeated_lines: float = 0.5
    max_personal_data: float = 15


class ClassifierConfig(Section):
    """A classifier of words and pairs of words like fastText's, for each language that has text of both kinds."""

    positive: tuple[str, ...] = Field(min_length=1, description="sources of text that shows what is wanted")
    negative: tuple[str, ...] = Field(
        min_length=1, description="sources of text as it comes, which are judged and of which the worst share goes"
    )
    drop: float = Field(0.1, description="worst share of each domain × language of the negative sources", ge=0, lt=1)

    @model_validator(mode="after")
    def _kinds_differ(self) -> Self:
        if both := sorted({*self.positive} & {*self.negative}):
            raise ValueError(f"{both[0]!r} is named as positive and as negative")
        return self


class QualityConfig(Section):
    """Heuristics and the perplexity filter. Lengths are in characters."""

    min_characters: Count = Field(200, ge=0)
    max_characters: Count = Field(1_000_000, gt=0, description="longer documents are cut at a line end into several")
    min_language_score: float = Field(0.5, description="probability of the language", ge=0, le=1)
    thresholds: Literal["reference", "fixed"] = Field(
        "reference", description="whether limits of prose give way to what trusted text of the language has"
    )
    trusted: tuple[str, ...] = Field((), description="sources of trusted text; empty: those of the domain reference")
    trusted_share: float = Field(
        0.98, description="of trusted documents that each limit of prose lets pass", gt=0.5, le=1
    )
    prose: ProseLimits = ProseLimits()
    code: CodeLimits = CodeLimits()
    word_lists: dict[str, Path] = Field(
        {}, description="per language, a file of words and phrases to count, one a line; relative to corpus.root"
    )
    perplexity_order: int = Field(3, ge=2, le=5)
    perplexity_drop: float = Field(0.1, description="worst share of each domain × language by perplexity", ge=0, lt=1)
    perplexity_min_count: tuple[Count, ...] = Field(
        (1,), description="per order, occurrences below which an n-gram is left out of the model; the last one repeats"
    )
    perplexity_quantised: bool = Field(False, description="one byte per value: models take 10 bytes per n-gram, not 24")
    classifier: ClassifierConfig | None = Field(None, description="judges beside perplexity; absent: none")
    reference: dict[str, str] = Field(
        {}, description="per language, the source whose documents train its perplexity model for every domain"
    )

    @field_validator("perplexity_min_count")
    @classmethod
    def _minima_rise(cls, counts: tuple[int, ...]) -> tuple[int, ...]:
        if not counts or list(counts) != sorted(counts) or counts[0] != 1:
            raise ValueError(f"{list(counts)}: one per order, from 1 and never falling, such as [1, 1, 2]")
        return counts
