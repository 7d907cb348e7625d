"""E-mail addresses: plain, quoted, internationalised, and written so that a program should not read them.

Sources: RFC 5321 and 6531 (form), IANA's root zone (``top_level_domains.txt``), RFC 2606 (names for documentation).
"""

import functools
import re
from collections.abc import Iterator
from importlib.resources import files

from altiplano.corpus.pii.windows import lowered, mark_windows

NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Scripts that put no space between an address and what stands beside it."""

LETTER = rf"[^\W{NO_SPACES}]"
LABEL = rf"(?:{LETTER}(?:(?:{LETTER}|-){{0,61}}{LETTER})?|[{NO_SPACES}-]{{1,20}})"
TOP = rf"(?:xn--[a-z0-9-]{{2,59}}|(?:(?!\d){LETTER}){{2,24}}|[{NO_SPACES}]{{1,12}})"
EMAIL = re.compile(
    rf"(?<!{LETTER})(?<![.+-])(?:(?:{LETTER}|[+-])(?:(?:{LETTER}|[.+'-]){{0,62}}(?:{LETTER}|[+-]))?"
    r"|(?<!\w)[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,12}"
    rf'|"[^"\\\s@<>][^"\\\n@<>]{{0,60}}")@(?:{LABEL}\.){{1,6}}{TOP}(?!{LETTER}|-)'
)
PREFIX = re.compile(r"(?:[\u0590-\u06ff]{1,3}-(?=[!-~]+@))?")
"""Hebrew and Arabic join prepositions to an address with a hyphen."""

DOTS = "dot|punkt|point|punto|ponto|punt|piste|pont|tocka|точка|nokta|kropka|tečka|bod"
AT = r"(?: ?[\[({<] ?(?:at|@|arroba|ät|chez|собака|apenstaartje|malpa|małpa|zavináč|kukac|chiocciola) ?[\])}>] ?)"
DOT = rf"(?: ?[\[({{<] ?(?:{DOTS}|\.) ?[\])}}>] ?)"
WORD = r"[a-z0-9](?:[a-z0-9-]{0,40}[a-z0-9])?"
HIDDEN = re.compile(
    rf"(?<![\w.+-])(?P<local>[a-z0-9_+-]+(?:(?:\.|{DOT}| dot )[a-z0-9_+-]+){{0,4}})"
    rf"(?:{AT}(?P<domain>{WORD}(?:(?:\.|{DOT}| (?:{DOTS}) ){WORD}){{1,4}})"  # ann [at] host.org, ann (at) host dot org
    rf"| (?:at|arroba|ät|@) (?P<spelled>{WORD}(?: (?:{DOTS}) {WORD}){{1,4}})"  # ann at host dot org
    rf"| (?-i:AT) (?P<loud>{WORD}(?:(?:\.| (?:{DOTS}) ){WORD}){{1,4}})"  # ann AT host.org
    rf"|@(?P<dotted>{WORD}(?:(?:\.|{DOT}){WORD}){{0,3}}{DOT}{WORD}))(?![\w-])",  # ann@host[.]org
    re.IGNORECASE | re.ASCII,
)
HIDDEN_MARKS = (
    "at)", "at]", "at}", "at>", "at )", "at ]", "(@)", "[@]", "@ )", "@ ]", "ät)", "ät]", " dot ", " punkt ", " punto ",
    " ponto ", "[.]", "(.)", "dot]", "dot)", "arroba", "собака", "chez)", "chez]", "apenstaartje", "ałpa)", "ałpa]",
    "alpa)",
    "alpa]", "zavináč", "kukac", "chiocciola",
)  # fmt: skip
"""In small letters; every hidden address holds one of these, or an AT in capitals."""

CLASSIC = {
    "com", "org", "net", "edu", "gov", "mil", "info", "biz", "pro", "museum", "aero", "coop", "jobs", "mobi", "travel",
    "app", "dev", "online", "site", "tech", "store", "shop", "cloud", "blog", "email", "page", "wiki", "news", "live",
    "example", "invalid", "test",
}  # fmt: skip
RESERVED = {"example", "invalid", "test"}
"""RFC 2606. Names under ``.example`` count as real: the samples use them."""

FILE_ENDINGS = {
    "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "py", "rs", "md", "sh", "pl", "cc", "so", "ts", "mm", "hs",
    "ml", "zip", "mov", "ps", "vi", "java", "ads", "bz",
}  # fmt: skip
"""Some are top-level domains as well; in code they are files."""

ATTRIBUTES = {
    "data", "map", "call", "new", "open", "run", "build", "inc", "box", "link", "date", "group", "int", "name", "id",
    "is", "it", "to", "in", "as", "at", "no", "so", "do", "me", "my", "show", "watch", "select", "now", "red", "blue",
    "zero", "one", "day", "bar", "cat", "dot", "how", "next", "off", "play", "post", "re", "read", "save", "search",
    "size", "style", "support", "test", "tm", "total", "cv", "fm", "gt", "lt", "mu", "va", "channel", "frame",
}  # fmt: skip
"""Top-level domains that are also what code calls parts of an object: ``weights@layer.data``."""

OBJECTS = {"self", "np", "torch", "jnp", "tf", "this", "cls", "mat", "matrix", "weight", "weights", "vec"}
DOCUMENTATION = re.compile(
    r"(?:.*\.)?(?:example\.(?:com|org|net|edu)|localhost|(?:foo|bar|domain|test|host|yourdomain|yourcompany|mydomain|"
    r"email)\.com)",
    re.IGNORECASE,
)
PLACEHOLDERS = {"user", "username", "name", "yourname", "your.name", "your-name", "you", "someone", "foo", "first.last"}
COMMON = {
    "that",
    "look",
    "looking",
    "arrive",
    "arrived",
    "is",
    "was",
    "are",
    "it",
    "me",
    "us",
    "them",
    "him",
    "her",
    "you",
    "be",
    "and",
}
REPOSITORIES = {"git", "hg", "svn"}
MACHINE = re.compile(r"(?:://|\b(?:ssh|scp|sftp|rsync|mosh|ssh-copy-id)(?: -[\w-]+(?: \d+)?)* )$|\w/$")
"""Before a login on a machine, or a version of a package."""

ADDRESSED = re.compile(r"mail|author|contact|maintain|copyright|\bfrom\b|\bto\b|<$|mailto:$")
PATH = re.compile(r":(?:[~/]|[\w.-]+/|[\w./-]+\.git)|[(\[]")
"""After a login on a machine (``ann@host.org:/srv``), or after a product of matrices."""


@functools.cache
def top_level_domains() -> frozenset[str]:
    listed = files("altiplano.corpus.pii").joinpath("top_level_domains.txt").read_text(encoding="utf-8")
    names = {name for line in listed.splitlines() if not line.startswith("#") for name in line.split()}
    return frozenset(names | RESERVED | {f"xn--{n.encode('punycode').decode()}" for n in names if not n.isascii()})


def emails(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Where addresses stand in the text."""
    for low, high in mark_windows(text, ("@",), 70, 160):
        for match in EMAIL.finditer(text, low, high):
            before = text[max(0, match.start() - 32) : match.start()]
            start = match.start() + len(PREFIX.match(match.group(0)).group(0))  # type: ignore[union-attr]
            if length := email_length(
                text[start : match.end()], language, before, text[match.end() : match.end() + 40]
            ):
                yield start, start + length
    for low, high in mark_windows(lowered(text), HIDDEN_MARKS, 90, 120) + mark_windows(text, (" AT ",), 90, 120):
        for match in HIDDEN.finditer(text, low, high):
            if _is_hidden(match):
                yield match.span()


def _is_hidden(match: re.Match[str]) -> bool:
    domain = next(group for group in match.group("domain", "spelled", "loud", "dotted") if group)
    plain = re.sub(rf" ?[\[({{<] ?(?:{DOTS}|\.) ?[\])}}>] ?| (?:{DOTS}) ", ".", domain, flags=re.IGNORECASE)
    local = match.group("local").lower()
    if match.group("loud") and match.group("local").isupper():
        return False  # a heading in capitals
    if match.group("spelled") and (local in COMMON or " in" in domain.lower()):
        return False
    return (
        plain.rsplit(".", 1)[-1].lower() in top_level_domains()
        and not DOCUMENTATION.fullmatch(plain)
        and not (local in PLACEHOLDERS and plain.split(".")[0].lower() in ("host", "domain", "company", "server"))
    )


def email_length(value: str, language: str, before: str = "", after: str = "") -> int:
    """Characters of ``value`` that are an address; 0 when none are. It may run on into the next sentence."""
    local, _, domain = value.rpartition("@")
    if local in REPOSITORIES or local == "x-oauth-basic" or re.search(r"://[^\s/]{0,100}[:\0]$", before):
        return 0  # of a URL with a login
    if local.lower() in REPOSITORIES or ".." in local:
        return 0  # git@host:path is an address of a repository
    known = _known_part(domain, language)
    if not known or DOCUMENTATION.fullmatch(known):
        return 0
    labels = known.lower().split(".")
    if re.fullmatch(r"\d(?:\.\d)?x|v?\d+", labels[0]) and (labels[-1] in FILE_ENDINGS or language == "code"):
        return 0  # image@2x.png, package@2.dev
    whole = known == domain
    if MACHINE.search(before.lower()) or (whole and after.startswith(":") and PATH.match(after)):
        return 0
    if language == "code" and not _in_code(local, labels, before.lower(), after if whole else ""):
        return 0
    return len(local) + 1 + len(known)


def _known_part(domain: str, language: str) -> str:
    """As many labels as end in a top-level domain. In scripts without spaces the last label may run on."""
    labels = domain.split(".")
    while len(labels) > 1:
        last = labels[-1].lower()
        if last in top_level_domains():
            return ".".join(labels)
        if re.match(rf"[{NO_SPACES}]", last):
            for length in range(len(last) - 1, 0, -1):
                if last[:length] in top_level_domains():
                    return ".".join([*labels[:-1], last[:length]])
        if language == "code":
            return ""
        labels.pop()
    return ""


def _in_code(local: str, labels: list[str], before: str, after: str) -> bool:
    if labels[-1] in FILE_ENDINGS or after[:1] in ("(", "["):
        return False
    if local.split(".", maxsplit=1)[0].lower() in OBJECTS or labels[0] in OBJECTS:
        return False
    if labels[-1] in ATTRIBUTES or (len(labels[-1]) > 2 and labels[-1] not in CLASSIC):
        return bool(ADDRESSED.search(before)) or (before[-1:] in ("'", '"', "<") and after[:1] in ("'", '"', ">"))
    return len(local) > 1 and len(labels[0]) > 1
