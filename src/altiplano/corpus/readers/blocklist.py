"""Pages that must not be used, named in a list.

A line of a blocklist is a domain, which covers its subdomains, or a domain with the beginning of a path; ``#`` begins a
comment. Scheme, ``www.``, query and a trailing slash do not matter.
"""

from functools import lru_cache
from urllib.parse import urlsplit

from altiplano.corpus.readers.archives.decompression import BROKEN
from altiplano.corpus.readers.charsets.decoding import decode
from altiplano.corpus.readers.opening import join, open_raw
from altiplano.errors import InputError


@lru_cache(maxsize=4)
def load(root: str, path: str) -> frozenset[str]:
    """The list's entries, once per process. Raises InputError, naming the key, when it cannot be read."""
    try:
        with open_raw(join(root, path)) as stream:
            text, _ = decode(stream.read())
    except BROKEN as error:
        raise InputError(f"corpus.sources.blocklist {path!r}: {getattr(error, 'strerror', None) or error}") from error
    lines = text.lower().split("\n")
    if "#" in text:
        lines = [line.partition("#")[0] for line in lines]
    return frozenset(filter(None, (_plain(line) for line in lines)))


def _plain(line: str) -> str:
    line = line.strip()
    if "://" in line:
        line = line.partition("://")[2]
    return line.removeprefix("www.").rstrip("/")


def is_blocked(url: str, entries: frozenset[str]) -> bool:
    """Whether the URL's host, a domain above it, or the beginning of its path is listed."""
    try:
        parts = urlsplit(url.lower())
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:  # a bracket that is no IPv6 address
        return False
    labels = host.split(".")
    if any(".".join(labels[start:]) in entries for start in range(len(labels))):
        return True
    place = host
    for step in parts.path.strip("/").split("/"):
        place += "/" + step
        if place in entries:
            return True
    return False
