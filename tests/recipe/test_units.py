import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.recipe.units import human, human_bytes, parse_bytes, parse_count


@pytest.mark.parametrize(
    ("text", "count"),
    [("16M", 16_000_000), ("16Mi", 16_777_216), ("15T", 15 * 10**12), ("405B", 405 * 10**9), ("1.5K", 1500), ("7", 7)],
)
def test_counts(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize(
    ("text", "size"), [("8 GiB", 8 * 2**30), ("10MB", 10**7), ("512", 512), ("5B", 5), ("1 kB", 0)]
)
def test_sizes(text: str, size: int) -> None:
    if size:
        assert parse_bytes(text) == size
    else:
        with pytest.raises(ValueError, match="not a size"):
            parse_bytes(text)


@pytest.mark.parametrize("text", ["", "M", "-3", "3 X", "1e6", "16 M i", "0x10", "16Bi", "١٦"])
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_count(text)


@given(st.integers(0, 10**18))
def test_plain_numbers_mean_themselves(number: int) -> None:
    assert parse_count(str(number)) == number
    assert parse_count(number) == number


@given(st.integers(1, 999), st.sampled_from([("k", 10**3), ("M", 10**6), ("B", 10**9), ("T", 10**12)]))
def test_human_counts_read_back(number: int, unit: tuple[str, int]) -> None:
    name, size = unit
    assert human(number * size) == f"{number}{name}"


def test_human_bytes() -> None:
    assert human_bytes(1536) == "1.5 KiB"
    assert human_bytes(12) == "12 B"
