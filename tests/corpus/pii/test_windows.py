"""Windows around digits and literals against the plain definition."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.pii.windows import digit_windows, mark_windows

TEXT = st.text(alphabet="ab 1٣é9x", max_size=60)


def covered(windows):
    assert all(a[1] < b[0] for a, b in pairwise(windows))
    return {i for low, high in windows for i in range(low, high)}


@given(TEXT, st.integers(1, 4), st.integers(1, 9), st.integers(0, 5), st.integers(0, 5))
def test_digit_windows(text, digits, within, before, after):
    wanted = set()
    at = [i for i, character in enumerate(text) if character in "0123456789"]
    for first, last in zip(at, at[digits - 1 :], strict=False):
        if last - first < within:
            wanted.update(range(max(0, first - before), min(len(text), last + 1 + after)))
    assert covered(digit_windows(text, digits, within, before, after)) == wanted


@given(TEXT, st.integers(0, 5), st.integers(1, 5))
def test_mark_windows(text, before, after):
    wanted = set()
    for mark in ("ab", "9", "1x"):
        for at in range(len(text)):
            if text.startswith(mark, at):
                wanted.update(range(max(0, at - before), min(len(text), at + after)))
    assert covered(mark_windows(text, ("ab", "9", "1x"), before, after)) == wanted
