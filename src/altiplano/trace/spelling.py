"""Tokens as the bytes that they spell, so that a text is found however it was cut into tokens."""

from collections.abc import Sequence

import numpy as np

from altiplano.tokens.tokenizer import Tokenizer

BOUNDARY = b"\xff"
"""What a special token spells: no byte of UTF-8, so that nothing which is looked for reaches from one document into the
next."""


class Spelling:
    """The bytes of every token of a vocabulary."""

    def __init__(self, tokenizer: Tokenizer):
        special = {*tokenizer.specials, tokenizer.bos, tokenizer.eos}  # a foreign tokenizer may not call these special
        self.of_token = [
            BOUNDARY if token in special else tokenizer.decode_bytes([token]) for token in range(tokenizer.vocab_size)
        ]
        self.sizes = np.array([len(spelt) for spelt in self.of_token], np.int64)
        """Bytes of each token [vocabulary]."""

    def spell(self, tokens: Sequence[int]) -> bytes:
        return b"".join(map(self.of_token.__getitem__, tokens))
