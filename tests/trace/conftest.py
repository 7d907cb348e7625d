import random

import pytest
from small import sentences

from altiplano.tokens.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    generator = random.Random(0)
    return Tokenizer.train([sentences(generator, 200) + " 鳥が飛ぶ 😀 éa" for _ in range(40)], 768)
