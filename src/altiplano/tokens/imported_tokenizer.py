"""Tokenizers made elsewhere: a Hugging Face ``tokenizer.json``, its folder, or tiktoken's ranks as Meta ships Llama's.

The names of the tokens that begin and end a document are those of ``tokenizer_config.json`` beside it, else the usual
ones.
"""

import base64
import binascii
from pathlib import Path

from tokenizers import Regex
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as InOrder

from altiplano.errors import InputError
from altiplano.tokens.tokenizer import (
    CONFIG,
    PATTERN,
    Tokenizer,
    byte_characters,
    special_names,
    special_tokens,
)


def tokenizer_file(path: Path) -> Path:
    """``tokenizer.json`` of a folder, or the file itself."""
    return path / "tokenizer.json" if path.is_dir() else path


def import_tokenizer(path: Path) -> Tokenizer:
    """Read a folder's ``tokenizer.json``, that file, or a file of ranks (a line of base64 bytes and a number for each
    token).

    Raises InputError when it cannot be read or has no begin and end tokens.
    """
    file = tokenizer_file(path)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise InputError(f"tokenizer.path: {file} cannot be read ({error.strerror})") from error
    return _from_json(file, raw) if raw.lstrip()[:1] == b"{" else _from_ranks(file, raw)


def _from_json(file: Path, raw: bytes) -> Tokenizer:
    try:
        tokenizer = HuggingFaceTokenizer.from_str(raw.decode())
    except Exception as error:  # the library raises bare Exception for a damaged file
        raise InputError(f"tokenizer.path: {file} is no tokenizer.json ({error})") from error
    # what its owner set for short inputs in batches or for regularisation would cut or change documents
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if isinstance(tokenizer.model, BPE):
        tokenizer.model.dropout = None
    bos, eos = special_names(file.parent, tokenizer)
    try:
        if bos == eos:
            raise InputError(f"it begins and ends documents with the same token {bos!r}: training needs two")
        return Tokenizer(tokenizer, bos, eos)
    except InputError as error:
        raise InputError(
            f"tokenizer.path: {file}: {error}; name two of its tokens as bos_token and eos_token in {CONFIG} beside it"
        ) from error


def _from_ranks(file: Path, raw: bytes) -> Tokenizer:
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise InputError(
                f"tokenizer.path: {file} line {number} is not a base64 token and its rank; give tokenizer.json or ranks"
            ) from error
    if sorted(ranks.values()) != list(range(len(ranks))) or not {bytes([byte]) for byte in range(256)} <= ranks.keys():
        raise InputError(f"tokenizer.path: {file} must rank every single byte and leave out no rank")
    characters = byte_characters()

    def spelt(token: bytes) -> str:
        return "".join(characters[byte] for byte in token)

    merges = []
    for token in sorted(ranks, key=ranks.__getitem__):
        if len(token) > 1:
            left, right = _halves(token, ranks)
            merges.append((spelt(left), spelt(right)))
    tokenizer = HuggingFaceTokenizer(BPE({spelt(token): rank for token, rank in ranks.items()}, merges))
    byte_level = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = InOrder([Split(Regex(PATTERN), behavior="isolated"), byte_level])
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens(special_tokens())
    return Tokenizer(tokenizer)


def _halves(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two tokens that a token is merged from: what BPE makes of it with the merges before its own."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        best = min(range(len(parts) - 1), key=lambda at: ranks.get(parts[at] + parts[at + 1], len(ranks)))
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts[0], parts[1]
