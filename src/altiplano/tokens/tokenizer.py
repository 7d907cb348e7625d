"""Text to tokens and back: byte-level BPE as in Llama 3, or any Hugging Face tokenizer that a pretrained model has.

Our own have Llama 3's split pattern and its 256 special tokens at the end of the vocabulary. They are trained with
Hugging Face tokenizers, which other tools read, and encoded with tiktoken on the same merges, which gives the same
tokens about six times as fast. Others are encoded by Hugging Face tokenizers.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Regex
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as InOrder
from tokenizers.trainers import BpeTrainer

from altiplano.errors import InputError
from altiplano.storage import read_if_there, read_object, write_json, write_text

# Llama 3's published pattern: contractions, words, up to three digits, punctuation, white space.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
MAX_PIECE = 1000
"""Characters of one piece in training, whose time grows with the square of the longest; words are never so long."""

LONG_RUN = re.compile(
    rf"(?<![^\W\d_])[^\W\d_]{{{MAX_PIECE + 1},}}"
    rf"|(?<!\s)\s{{{MAX_PIECE + 1},}}"
    rf"|(?<!_)(?<![^\w\s])(?:[^\w\s]|_){{{MAX_PIECE + 1},}}"
)
"""Of letters, of white space, or of anything else: what ``PATTERN`` leaves in one piece (of digits it takes three)."""

MAX_SPACES = 100_000
SPACES = re.compile(rf"(?<!\s)\s{{{MAX_SPACES}}}")
"""On a million spaces in a row the stack of tiktoken's regular expressions overflows, and it panics."""

BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
CONFIG = "tokenizer_config.json"
COPY = "bring it back from a copy"

SPECIALS = 256
BEGIN, END = "<|begin_of_text|>", "<|end_of_text|>"
USUAL_NAMES = ((BEGIN, END), ("<s>", "</s>"), ("<bos>", "<eos>"), ("[BOS]", "[EOS]"))


def special_tokens() -> list[str]:
    """Llama 3.1's special tokens in its order."""
    names = [BEGIN, END, "", "", "<|finetune_right_pad_id|>", "", "<|start_header_id|>", "<|end_header_id|>"]
    names += ["<|eom_id|>", "<|eot_id|>", "<|python_tag|>"]
    names += [""] * (SPECIALS - len(names))
    reserved = iter(range(SPECIALS))
    return [name or f"<|reserved_special_token_{next(reserved)}|>" for name in names]


class Tokenizer:
    """Text to token numbers and back. ``bos`` begins a document and ``eos`` ends it."""

    def __init__(self, hugging_face: HuggingFaceTokenizer, bos: str = BEGIN, eos: str = END):
        """``bos`` and ``eos`` are the names of tokens. Raises InputError when they are none. Models made elsewhere may
        have the same for both; to train on documents there must be two."""
        self.hugging_face = hugging_face
        vocabulary = hugging_face.get_vocab(with_added_tokens=True)
        self.vocab_size: int = max(vocabulary.values()) + 1
        for role, name in (("begin", bos), ("end", eos)):
            if name not in vocabulary:
                raise InputError(f"the tokenizer has no token {name!r} that could {role} a document")
        self.bos, self.eos = vocabulary[bos], vocabulary[eos]
        added = hugging_face.get_added_tokens_decoder()
        self.specials: dict[int, str] = {number: token.content for number, token in added.items() if token.special}
        content = json.loads(hugging_face.to_str())
        last = [self.specials.get(self.vocab_size - SPECIALS + at) for at in range(SPECIALS)]
        self.is_llama3 = last == special_tokens() and split_pattern(content) == PATTERN
        """Whether tiktoken gives the same tokens."""
        self._is_byte_level = '"ByteLevel"' in json.dumps(content.get("decoder"))

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary: int) -> "Tokenizer":
        """Learn ``vocabulary`` - 512 merges. Raises InputError when the texts do not have so many."""
        tokenizer = HuggingFaceTokenizer(BPE())
        byte_level = ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = InOrder([Split(Regex(PATTERN), behavior="isolated"), byte_level])
        tokenizer.decoder = ByteLevelDecoder()
        trainer = BpeTrainer(
            vocab_size=vocabulary - SPECIALS, initial_alphabet=sorted(ByteLevel.alphabet()), show_progress=False
        )
        tokenizer.train_from_iterator(_in_pieces(texts), trainer)
        learned = tokenizer.get_vocab_size()
        if learned < vocabulary - SPECIALS:
            raise InputError(
                f"the training text is too small for model.vocab_size = {vocabulary:,}: "
                f"it gives {learned + SPECIALS:,}; "
                f"add text or use --set model.vocab_size={(learned + SPECIALS) // 64 * 64}"
            )
        tokenizer.add_special_tokens(special_tokens())
        return cls(tokenizer)

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """Of a folder with a ``tokenizer.json``, ours or any model's. Raises InputError when it cannot be read."""
        file = folder / "tokenizer.json"
        if not file.exists():
            raise InputError(f"{folder} has no tokenizer.json")
        try:
            hugging_face = HuggingFaceTokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare Exception for a damaged file
            raise InputError(f"{file} cannot be read: {error}") from error
        try:
            return cls(hugging_face, *special_names(folder, hugging_face))
        except InputError as error:
            raise InputError(f"{file}: {error}") from error

    def save(self, folder: Path) -> None:
        """``tokenizer.json``; beside it, for one that is not like Llama 3's, the names of its special tokens."""
        write_text(folder / "tokenizer.json", self.hugging_face.to_str(pretty=True))
        if not self.is_llama3:
            write_json(folder / CONFIG, {"bos_token": self.name_of(self.bos), "eos_token": self.name_of(self.eos)})

    def name_of(self, token: int) -> str:
        return str(self.hugging_face.id_to_token(token))

    @cached_property
    def _tiktoken(self) -> Any:
        import tiktoken

        vocabulary = self.hugging_face.get_vocab(with_added_tokens=False)
        ranks = {
            bytes(self._byte_of[char] for char in token): rank for token, rank in vocabulary.items() if rank < self.bos
        }
        specials = {name: self.bos + i for i, name in enumerate(special_tokens())}
        return tiktoken.Encoding("altiplano", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=specials)

    def encode(self, text: str) -> list[int]:
        """Tokens of ``text``; nothing is added, and special tokens spelt out in the text are ordinary text."""
        if not self.is_llama3 or _has_long_spaces(text):
            return self._encode_safely(text)
        return list(self._tiktoken.encode_ordinary(text))

    def encode_batch(self, texts: Sequence[str], threads: int | None = None) -> list[list[int]]:
        """Tokens of each text, by as many threads as there are processors."""
        if not self.is_llama3:
            found = self._reference.encode_batch([_sound(text) for text in texts], add_special_tokens=False)
            return [list(one.ids) for one in found]
        threads = threads or os.cpu_count() or 1
        long = {at for at, text in enumerate(texts) if _has_long_spaces(text)}
        usual = ["" if at in long else text for at, text in enumerate(texts)]
        tokens = self._tiktoken.encode_ordinary_batch(usual, num_threads=threads)
        for at in long:
            tokens[at] = self._encode_safely(texts[at])
        return tokens

    def _encode_safely(self, text: str) -> list[int]:
        """By the library that trained the merges: the same tokens, some times slower, in linear time at any length."""
        return list(self._reference.encode(_sound(text), add_special_tokens=False).ids)

    @cached_property
    def _reference(self) -> HuggingFaceTokenizer:
        """A copy for which special tokens that are spelt out are ordinary text."""
        copy = HuggingFaceTokenizer.from_str(self.hugging_face.to_str())
        copy.encode_special_tokens = True
        return copy

    def decode_bytes(self, tokens: Sequence[int]) -> bytes:
        """The bytes of the tokens; special tokens give none."""
        plain = [token for token in tokens if token not in self.specials]
        return self._tiktoken.decode_bytes(plain) if self.is_llama3 else b"".join(map(self._bytes, plain))

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of the tokens; special tokens are skipped and broken characters replaced."""
        if self.is_llama3 or self._is_byte_level:
            return self.decode_bytes(tokens).decode("utf-8", errors="replace")
        return str(self.hugging_face.decode(list(tokens), skip_special_tokens=True))

    def _bytes(self, token: int) -> bytes:
        name = self.hugging_face.id_to_token(token) or ""
        if self._is_byte_level:
            return bytes(self._byte_of[character] for character in name if character in self._byte_of)
        if byte := BYTE_TOKEN.fullmatch(name):  # SentencePiece's, for characters that it has no token for
            return bytes([int(byte[1], 16)])
        return name.replace("\u2581", " ").encode()

    @cached_property
    def longest(self) -> int:
        """Bytes of the longest token."""
        return max(len(self._bytes(token)) for token in range(self.vocab_size))

    @cached_property
    def _byte_of(self) -> dict[str, int]:
        return {character: byte for byte, character in byte_characters().items()}


def special_names(folder: Path, tokenizer: HuggingFaceTokenizer) -> tuple[str, str]:
    """The names of the tokens that begin and end a document: as the files beside a ``tokenizer.json`` say, else the
    usual ones that it has. A model that names one of the two has it for both."""
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    files = (CONFIG, "special_tokens_map.json", "config.json")
    configs = [found for file in files if (found := read_if_there(folder / file, read_object, COPY)) is not None]

    def name(role: str) -> str:
        for config in configs:
            token = config.get(f"{role}_token") or config.get(f"{role}_token_id")
            token = token[0] if isinstance(token, list) and token else token  # several that end a text
            token = tokenizer.id_to_token(token) if isinstance(token, int) else token
            if found := token.get("content") if isinstance(token, dict) else token:
                return str(found)
        return ""

    begin, end = name("bos") or name("eos"), name("eos") or name("bos")
    if begin:
        return begin, end
    return next((pair for pair in USUAL_NAMES if set(pair) <= vocabulary.keys()), (BEGIN, END))


def adds_bos(folder: Path, tokenizer: Tokenizer) -> bool:
    """Whether texts begin with the begin token, by a model folder's own files."""
    config = read_if_there(folder / CONFIG, read_object, COPY) or {}
    stated = config.get("add_bos_token")
    return bool(stated) if stated is not None else tokenizer.bos in tokenizer.hugging_face.encode("a").ids


def split_pattern(tokenizer: dict[str, Any]) -> str:
    """The pattern that the pre-tokenizer of a ``tokenizer.json`` splits text by, or the first of a sequence; empty when
    it has none."""
    pre_tokenizer = tokenizer.get("pre_tokenizer") or {}
    first = (pre_tokenizer.get("pretokenizers") or [pre_tokenizer])[0]
    return str((first.get("pattern") or {}).get("Regex", ""))


def _sound(text: str) -> str:
    """Without lone surrogates, as tiktoken reads it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _has_long_spaces(text: str) -> bool:
    return len(text) > MAX_SPACES and SPACES.search(text) is not None


def _in_pieces(texts: Iterable[str]) -> Iterator[str]:
    """The texts, cut where one piece would be longer than ``MAX_PIECE``: the trainer looks at each text by itself."""
    for text in texts:
        at = 0
        for match in LONG_RUN.finditer(text) if _may_have_long_run(text) else ():
            for cut in range(match.start() + MAX_PIECE, match.end(), MAX_PIECE):
                yield text[at:cut]
                at = cut
        yield text[at:] if at else text


def _may_have_long_run(text: str) -> bool:
    """Ten times faster than looking: a long run is either within one word between spaces, or many spaces."""
    if len(text) <= MAX_PIECE:
        return False
    words = text.split()
    return max(map(len, words), default=0) > MAX_PIECE or len(text) - sum(map(len, words)) - len(words) > MAX_PIECE


def byte_characters() -> dict[int, str]:
    """The printable character that stands for each byte in a byte-level vocabulary (Radford et al. 2019)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
