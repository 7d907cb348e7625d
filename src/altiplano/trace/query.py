"""What is looked for: a text, or tokens, as bytes with the edges at which a match may begin and end."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from altiplano.tokens.tokenizer import Tokenizer
from altiplano.trace.spelling import Spelling

Text = str | Sequence[int]
"""A text, or tokens of the run's tokenizer, which stand for the text that they spell."""

CONTINUES = 0b10
"""How a byte begins that goes on with a character of UTF-8."""


@dataclass(frozen=True)
class Query:
    """A text in units: the characters of a str, or the tokens of a sequence of tokens."""

    data: bytes
    edges: Sequence[int]
    """Bytes before each unit, and all bytes [units + 1]."""
    token_edges: Sequence[int]
    """The same for tokens [tokens + 1]."""

    @property
    def units(self) -> int:
        return len(self.edges) - 1

    @property
    def tokens(self) -> int:
        return len(self.token_edges) - 1

    @property
    def text(self) -> str:
        """As the run's tokenizer reads it: a pretrained model's may change a text."""
        return self.data.decode("utf-8", "replace")

    def piece(self, first: int, after: int) -> bytes:
        """The bytes of units ``first`` … ``after`` - 1."""
        return self.data[self.edges[first] : self.edges[after]]

    def end_of(self, first: int, tokens: int) -> int | None:
        """The unit after the next ``tokens`` whole tokens from unit ``first`` on; None where there are not so many."""
        last = bisect_left(self.token_edges, self.edges[first]) + tokens
        return bisect_left(self.edges, self.token_edges[last]) if last < len(self.token_edges) else None

    def whole_tokens(self, first: int, after: int) -> int:
        """Tokens of the text that lie within units ``first`` … ``after`` - 1."""
        low = bisect_left(self.token_edges, self.edges[first])
        return max(0, bisect_right(self.token_edges, self.edges[after]) - 1 - low)


def make_query(text: Text, tokenizer: Tokenizer, spelling: Spelling) -> Query:
    tokens = tokenizer.encode(text) if isinstance(text, str) else list(text)
    sizes = [int(spelling.sizes[token]) for token in tokens]
    data = spelling.spell(tokens)
    if not isinstance(text, str):
        return Query(data, edges := _edges(sizes), edges)
    if len(data) - len(data.lstrip(b" ")) > len(text) - len(text.lstrip(" ")):  # SentencePiece's, before every text
        first = next(place for place, size in enumerate(sizes) if size)
        data, sizes[first] = data[1:], sizes[first] - 1
    edges = array("q", (at for at, byte in enumerate(data) if byte >> 6 != CONTINUES))
    edges.append(len(data))
    return Query(data, edges, _edges(sizes))


def _edges(sizes: Iterable[int]) -> Sequence[int]:
    return array("q", accumulate(sizes, initial=0))
