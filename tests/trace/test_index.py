"""The index against looking at every place: counts, longest matches, places; across parts, tokens and documents."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import sentences
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import models, normalizers, trainers
from traced_run import Made, make_run, occurrences

import altiplano
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.trace import Index, Match, build_index, open_index
from altiplano.trace.text_part import TextPart, common_prefix, write_part

KEY = bytes(32)
PIECES = ["a", "b", "ab", " the", "the", "é", "鳥", "😀", "\n", "12", "  "]
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join)


@settings(max_examples=50)
@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=5), st.binary(max_size=4))
def test_a_part_finds_every_place(
    tmp_path_factory: pytest.TempPathFactory, documents: list[bytes], pattern: bytes
) -> None:
    path = tmp_path_factory.mktemp("part") / "part.bin"
    write_part(path, KEY, documents)
    part, text = TextPart(path, KEY), b"".join(documents)
    part.verify()
    assert [part.document(number) for number in range(len(documents))] == documents
    sought = [pattern, *(text[at : at + size] for at in range(0, len(text), 3) for size in (1, 2, 5, len(text)))]
    for one in filter(None, sought):
        places = occurrences(one, text)
        assert part.places(part.occurrences(one)).tolist() == places
        assert part.occurs(one) == bool(places)
        most = next(size for size in range(len(one), -1, -1) if one[:size] in text)
        assert part.longest(one) == most


@pytest.mark.parametrize("size", [1, 63, 64, 65, 255, 256, 257, 1000])
def test_a_longest_match_is_exact_at_any_length(tmp_path: Path, size: int) -> None:
    """Among many places that share the first thousand bytes."""
    same = random.Random(0).randbytes(1000)
    write_part(tmp_path / "part.bin", KEY, [same + bytes([number]) for number in range(50)])
    part = TextPart(tmp_path / "part.bin", KEY)
    wrong = bytes([same[size] ^ 1]) if size < 1000 else b"\x99"
    assert part.longest(same[:size] + wrong + same) == size
    assert part.longest(same[:size]) == size


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_common_prefix(one: bytes, other: bytes) -> None:
    size = common_prefix(one, other)
    assert (one[:size] == other[:size] and one[size : size + 1] != other[size : size + 1]) or one == other


class Searched:
    """A run, its index, and its documents' bytes."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, documents: Sequence[str]):
        groups = ["web.en", "code.code"]
        made = [Made(text, groups[number % 2]) for number, text in enumerate(documents)]
        make_run(folder, tokenizer, [made[: len(made) // 2], made[len(made) // 2 :]])
        build_index(folder)
        self.index = open_index(folder)
        self.texts = [
            tokenizer.decode_bytes(shard.document(number).tolist())
            for shard in self.index.shards
            for number in range(shard.documents)
        ]
        assert sorted(self.texts) == sorted(text.encode() for text in documents)

    def count(self, pattern: bytes) -> int:
        return sum(len(occurrences(pattern, text)) for text in self.texts)

    def has(self, piece: str) -> bool:
        return any(piece.encode() in text for text in self.texts)

    def matches(self, text: str, least: int) -> list[tuple[int, int, int]]:
        """Start, end and count of every match, by trying every piece of the text."""
        query = self.index.query(text)
        least = min(least, query.tokens)
        found: list[tuple[int, int, int]] = []
        for start in range(len(text)):
            needed = query.end_of(start, least)
            for end in range(len(text), (needed or len(text) + 1) - 1, -1):
                if self.has(text[start:end]):
                    if not found or end > found[-1][1]:
                        found.append((start, end, self.count(text[start:end].encode())))
                    break
        return found


@pytest.fixture(params=[30, 10**6], ids=["many parts", "one part"])
def part_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("altiplano.trace.build.PART_BYTES", request.param)
    monkeypatch.setattr("altiplano.trace.build.processors", lambda: 1)


@settings(max_examples=40)
@given(st.lists(texts, min_size=2, max_size=6), texts, st.integers(1, 4), st.sampled_from([12, 40, 10**6]))
def test_matches_are_those_of_brute_force(
    tmp_path_factory: pytest.TempPathFactory,
    tokenizer: Tokenizer,
    documents: list[str],
    text: str,
    least: int,
    size: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("altiplano.trace.build.PART_BYTES", size)
        patch.setattr("altiplano.trace.build.processors", lambda: 1)
        for module in ("storage", "tokens.shards"):  # hundreds of small files would wait for the disk
            patch.setattr(f"altiplano.{module}.sync", lambda path: None)
        searched = Searched(tmp_path_factory.mktemp("run"), tokenizer, documents)
    index, whole = searched.index, text + documents[0][1:] + documents[1][:-1]
    for sought in (text, whole, documents[0]):
        assert index.count(sought) == searched.count(sought.encode())
        found = [(match.start, match.end, match.count) for match in index.matches(sought, least)]
        assert found == searched.matches(sought, least)
        for at in range(len(sought)):
            longest = max(
                end for end in range(at, len(sought) + 1) if end == at or searched.count(sought[at:end].encode())
            )
            assert index.longest_match(sought, at) == longest - at


def check_places(searched: Searched, sought: str) -> None:
    """Every place's tokens spell the text, and no fewer of them would."""
    index, spell = searched.index, searched.index.tokenizer.decode_bytes
    places = index.places(sought)
    assert len(places) == searched.count(sought.encode())
    for place in places:
        tokens = index.shards[place.shard].document(place.document)[place.first : place.last + 1].tolist()
        assert sought.encode() in spell(tokens)
        assert sought.encode() not in spell(tokens[1:]) and sought.encode() not in spell(tokens[:-1])
    assert index.places(sought, 2) == places[:2]


def test_a_text_is_found_wherever_it_was_cut(tmp_path: Path, tokenizer: Tokenizer, part_bytes: None) -> None:
    """Every piece of a document, from the middle of a token to the middle of another one."""
    generator = random.Random(1)
    documents = [sentences(generator, 12) + "\n鳥が飛ぶ 😀" for _ in range(4)]
    searched = Searched(tmp_path / "run", tokenizer, documents)
    text = documents[2]
    differs = 0
    for start in range(0, len(text) - 4, 3):
        for end in range(start + 4, len(text) + 1, 7):
            piece = text[start:end]
            assert searched.index.count(piece) == searched.count(piece.encode()) > 0
            tokens, whole = tokenizer.encode(piece), tokenizer.encode(text)
            differs += not any(whole[at : at + len(tokens)] == tokens for at in range(len(whole)))
    assert differs > 50  # its tokens alone would not have been found
    for piece in (text[3:40], text[-6:], documents[0][:9], text):
        check_places(searched, piece)


def test_tokens_stand_for_what_they_spell(tmp_path: Path, tokenizer: Tokenizer, part_bytes: None) -> None:
    searched = Searched(tmp_path / "run", tokenizer, ["one 鳥 two 鳥 three", "two 鳥 three four", "five"])
    index = searched.index
    for text in ("two 鳥 three", "鳥", "one"):
        letters = [token for character in text.encode() for token in tokenizer.encode(chr(character))[:1]]
        tokens = tokenizer.encode(text)
        assert index.count(tokens) == index.count(text) == searched.count(text.encode())
        assert index.longest_match([*tokens, *tokenizer.encode(" absent")]) >= len(tokens)
        assert len(letters) > 0
    first = tokenizer.encode("鳥")[:1]  # a part of a character, if the vocabulary has none for it
    assert index.count(first) >= 3
    tokens = [*tokenizer.encode("absent zzz"), *tokenizer.encode(" two 鳥 three"), *tokenizer.encode("zzz")]
    (match,) = index.matches(tokens, 3)
    assert tokenizer.decode(tokens[match.start : match.end]).strip() == "two 鳥 three" and match.count == 1
    assert match.tokens == match.end - match.start


def test_no_match_reaches_into_the_next_document(tmp_path: Path, tokenizer: Tokenizer, part_bytes: None) -> None:
    searched = Searched(tmp_path / "run", tokenizer, ["alpha beta", "x", "gamma delta", "y", "beta", "z"])
    index, (bos, eos) = searched.index, (tokenizer.bos, tokenizer.eos)
    assert [index.count(text) for text in ("beta", "gamma", "betagamma", "beta gamma")] == [2, 1, 0, 0]
    across = [*tokenizer.encode("alpha beta"), eos, bos, *tokenizer.encode("gamma delta")]
    assert index.count(across) == 0 and index.count([eos]) == index.count([bos]) == 0
    assert index.longest_match(across) == len(tokenizer.encode("alpha beta"))
    found = [(match.start, match.end) for match in index.matches(across, 1)]
    middle = len(tokenizer.encode("alpha beta"))
    assert found == [(0, middle), (middle + 2, len(across))]
    assert index.places([bos]) == [] and index.matches([eos], 1) == []


def test_special_tokens_that_are_spelt_out_are_ordinary_text(tmp_path: Path, tokenizer: Tokenizer) -> None:
    searched = Searched(tmp_path / "run", tokenizer, ["he wrote <|end_of_text|> there", "b"])
    assert searched.index.count("<|end_of_text|>") == 1
    assert searched.index.count("<|begin_of_text|>") == 0


def test_an_empty_text_and_a_place_outside_are_no_match(tmp_path: Path, tokenizer: Tokenizer) -> None:
    index = Searched(tmp_path / "run", tokenizer, ["a b", "c"]).index
    assert (index.count(""), index.places(""), index.matches(""), index.longest_match("")) == (0, [], [], 0)
    with pytest.raises(ValueError, match="at = 4 is outside"):
        index.longest_match("abc", 4)


def test_a_match_has_the_least_number_of_whole_tokens(tmp_path: Path, tokenizer: Tokenizer) -> None:
    generator = random.Random(5)
    text = sentences(generator, 30)
    index = Searched(tmp_path / "run", tokenizer, [text, "other"]).index
    tokens = tokenizer.encode(text)
    piece = tokenizer.decode(tokens[2:10])
    sought = "Ωq" + piece + "Ωq"
    own = index.query(sought)
    (match,) = index.matches(sought, 8)
    assert sought[match.start : match.end] == piece
    assert match == Match(2, 2 + len(piece), own.whole_tokens(2, 2 + len(piece)), 1) and match.tokens >= 8
    assert index.matches(sought, match.tokens + 1) == []
    assert index.matches(piece, 50) == [Match(0, len(piece), len(tokenizer.encode(piece)), 1)]  # as a whole
    assert index.matches(piece + "Ω", 50) == []


def test_heldout_text_has_an_index_of_its_own(tmp_path: Path, tokenizer: Tokenizer) -> None:
    make_run(
        tmp_path / "run", tokenizer, [[Made("seen before"), Made("kept aside", split="heldout"), Made("no", split="")]]
    )
    for split in ("train", "heldout"):
        build_index(tmp_path / "run", split)
    train, heldout = (open_index(tmp_path / "run", split) for split in ("train", "heldout"))
    assert (train.count("seen before"), train.count("kept aside")) == (1, 0)
    assert (heldout.count("seen before"), heldout.count("kept aside")) == (0, 1)


def sentence_piece(folder: Path) -> Tokenizer:
    """A pretrained model's: a space before every text, lower case, begin and end tokens that are not called special."""
    made = HuggingFaceTokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    marks = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    made.normalizer = normalizers.Sequence([normalizers.Lowercase(), *marks])
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    made.train_from_iterator(["one two three four", "the two of them and the others " * 9], trainer)
    content = json.loads(made.to_str())
    for byte in range(256):
        content["model"]["vocab"][f"<0x{byte:02X}>"] = len(content["model"]["vocab"])
    content["added_tokens"] = []
    return Tokenizer(HuggingFaceTokenizer.from_str(json.dumps(content)), "<s>", "</s>")


def test_a_pretrained_models_tokenizer(tmp_path: Path) -> None:
    tokenizer = sentence_piece(tmp_path)
    assert tokenizer.bos not in tokenizer.specials
    run = make_run(tmp_path / "run", tokenizer, [[Made("One TWO  three"), Made("and the 鳥"), Made("the two")]])
    build_index(run)
    index = open_index(run)
    counts = {"two": 2, "TWO": 2, " two": 2, "  three": 1, "  two": 0, "three": 1, "wo  th": 1, "鳥": 1, "the": 2}
    assert {text: index.count(text) for text in counts} == counts
    assert index.count("threeand") == index.count("three</s><s> and") == index.count("s>") == 0
    assert index.query(" Two 鳥").text == " two 鳥"
    found = {"Zz THE TWO zz"[match.start : match.end]: match.count for match in index.matches("Zz THE TWO zz", 1)}
    assert found[" THE TWO"] == 1
    assert len(index.places("two")) == 2


def test_from_the_library(tmp_path: Path, tokenizer: Tokenizer) -> None:
    run = make_run(tmp_path / "run", tokenizer, [[Made("one two three"), Made("two", split="heldout")]])
    opened = altiplano.open_run(run)
    for _ in range(2):  # built, and there
        assert opened.trace_index().count("two three") == 1
        assert opened.trace_index("heldout").count("two three") == 0


def test_tokens_of_four_bytes(tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("altiplano.tokens.encode.token_dtype", lambda vocabulary: np.int32)
    monkeypatch.setattr("altiplano.tokens.shards.token_dtype", lambda vocabulary: np.int32)
    searched = Searched(tmp_path / "run", tokenizer, ["one two three", "two"])
    assert isinstance(searched.index, Index) and searched.index.shards[0].dtype is np.int32
    check_places(searched, "two")
