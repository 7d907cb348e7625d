"""Bytes to text: UTF-8 first, then what the record declares, then a guess, then replacement characters."""

from altiplano.optional_imports import extra

BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
SAMPLE_BYTES = 64 * 2**10


def decode(data: bytes, declared: str | None = None) -> tuple[str, str]:
    """The text, and how it was read: empty for UTF-8 or a declared charset, otherwise the repair made."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace"), ""
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        pass
    if declared and declared.lower().replace("_", "-") not in ("utf-8", "utf8"):
        try:
            return data.decode(declared, "replace"), ""
        except (LookupError, ValueError):
            pass
    damage = data.decode("utf-8", "replace").count("\ufffd")
    if damage * 200 < len(data):  # mostly UTF-8 with a few broken bytes; another charset would garble the rest
        return data.decode("utf-8", "replace"), "not quite UTF-8, broken bytes replaced"
    # one long stretch with non-ASCII bytes tells the charset; the whole text would cost seconds
    first = next((i for i, byte in enumerate(data) if byte > 127), 0)
    begin = max(0, first - SAMPLE_BYTES // 4)
    guess = extra("charset_normalizer").from_bytes(data[begin : begin + SAMPLE_BYTES]).best()
    if guess is None:
        return data.decode("utf-8", "replace"), "unknown charset, broken bytes replaced"
    return data.decode(guess.encoding, "replace"), f"not UTF-8, read as {guess.encoding}"
