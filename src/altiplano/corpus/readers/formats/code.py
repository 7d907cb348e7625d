"""Source code: a folder or an archive of projects, without vendored, generated and minified files and data, and without
files whose licence the recipe does not allow. Programming languages are told by file name and by content.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

from altiplano.corpus.readers.archives.archive import is_archive, members
from altiplano.corpus.readers.charsets.decoding import coding_line, decode, is_binary
from altiplano.corpus.readers.formats import licence
from altiplano.corpus.readers.opening import File, bare
from altiplano.corpus.readers.raw import BadRecord, RawDocument, Record, left_out

Licences = str | tuple[str, ...]
NOT_CODE = "neither ending nor first line of a programming language"
UNREADABLE = "unreadable licence file"


def read(path: File, place: str, allowed: Licences = "any") -> Iterator[Record]:
    licences = {} if allowed == "any" else _licences(path, place)
    for member in members(path, place, may_be_code):
        if not isinstance(member, tuple):
            yield member
            continue
        name, data = member
        if is_binary(data):
            known = language_of(bare(name))
            yield BadRecord("binary file", name, size=len(data)) if known else left_out(NOT_CODE, name, len(data))
            continue
        text, repair = decode(data, coding_line(data))
        language = language_of(bare(name), text)
        if not language:
            yield left_out(NOT_CODE, name, len(data))
            continue
        if why := not_written(name, text):
            yield left_out(why, name, len(data))
            continue
        found = licence.declared(text) or _nearest(licences, name)
        if found == UNREADABLE:
            yield BadRecord(UNREADABLE, name, size=len(data))
            continue
        if not licence.is_allowed(found, allowed):
            yield left_out(f"licence {found}" if found != licence.UNKNOWN else found, name, len(data))
            continue
        if repair:
            yield BadRecord(repair, name, lost=False, taken=0)
        if language == "notebook":
            yield _notebook(name, text, len(data))
        else:
            yield RawDocument(name, name, "code", text, len(data), language)


def _licences(path: File, place: str) -> dict[str, str]:
    """Folder → licence, from the archive's licence files, or from those in the folders above a plain file;
    ``UNREADABLE`` where one of them cannot be read, lest the licence of a folder above be taken for this one's."""
    found: dict[str, str] = {}
    if is_archive(path.name):
        unread = set[str]()

        def is_wanted(name: str) -> bool:
            if not licence.is_licence_file(name):
                return False
            unread.add(f"{place}/{PurePosixPath(name)}")
            return True

        for each in members(path, place, is_wanted):
            if isinstance(each, tuple):
                unread.discard(each[0])
                folder = str(PurePosixPath(each[0]).parent)
                found[folder] = licence.strictest(found.get(folder, ""), licence.detect(decode(each[1])[0]))
        found |= {str(PurePosixPath(name).parent): UNREADABLE for name in unread}
    elif isinstance(path, Path):
        for folder_path, name in zip(path.parents, PurePosixPath(place).parents, strict=False):
            try:
                kind = _licence_in(folder_path)
            except OSError:
                kind = UNREADABLE
            if kind:
                found[str(name)] = kind
    return found


@lru_cache(maxsize=4096)  # a folder's files follow one another
def _licence_in(folder: Path) -> str:
    """Empty when the folder holds no licence file. Raises OSError when one cannot be read; that is not remembered."""
    found = ""
    for each in sorted(folder.iterdir()):
        if licence.is_licence_file(each.name) and each.is_file():
            found = licence.strictest(found, licence.detect(decode(each.read_bytes())[0]))
    return found


def _nearest(licences: dict[str, str], name: str) -> str:
    return next((licences[str(p)] for p in PurePosixPath(name).parents if str(p) in licences), licence.UNKNOWN)


def _notebook(name: str, text: str, size: int) -> RawDocument | BadRecord:
    """A Jupyter notebook as Markdown with fenced code; outputs and metadata go."""
    try:
        notebook = json.loads(text)
        language = notebook.get("metadata", {}).get("kernelspec", {}).get("language", "python").lower()
        parts = []
        for cell in notebook["cells"]:
            source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            if source.strip():
                parts.append(f"```{language}\n{source}\n```" if cell["cell_type"] == "code" else source)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return BadRecord("malformed notebook", f"{name}: {error}", size=size)
    body = "\n\n".join(parts).encode("utf-8", "replace").decode("utf-8")
    return RawDocument(name, name, "code", body, size, language)


LANGUAGES = {
    ".py": "python", ".pyi": "python", ".c": "c", ".h": "c", ".cc": "c++", ".cpp": "c++", ".cxx": "c++", ".hpp": "c++",
    ".hh": "c++", ".cu": "cuda", ".rs": "rust", ".go": "go", ".java": "java", ".kt": "kotlin", ".scala": "scala",
    ".cs": "c#", ".js": "javascript", ".mjs": "javascript", ".jsx": "javascript", ".ts": "typescript",
    ".tsx": "typescript", ".rb": "ruby", ".php": "php", ".pl": "perl", ".lua": "lua", ".r": "r", ".jl": "julia",
    ".swift": "swift", ".m": "objective-c", ".mm": "objective-c", ".hs": "haskell", ".ml": "ocaml", ".ex": "elixir",
    ".exs": "elixir", ".erl": "erlang", ".clj": "clojure", ".sh": "shell", ".bash": "shell", ".tcl": "tcl",
    ".sql": "sql", ".css": "css", ".html": "html", ".vue": "vue", ".f90": "fortran", ".s": "assembly", ".zig": "zig",
    ".md": "markdown", ".rst": "restructuredtext", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".cmake": "cmake",
    ".proto": "protobuf", ".dart": "dart", ".ps1": "powershell", ".ipynb": "notebook",
}  # fmt: skip
NAMES = {"makefile": "make", "gnumakefile": "make", "dockerfile": "dockerfile", "cmakelists.txt": "cmake"}
SHEBANG = re.compile(r"#!\s*(?:\S*/)?(?:env\s+(?:-S\s+)?)?([a-z]+)")
INTERPRETERS = {
    "python": "python", "sh": "shell", "bash": "shell", "zsh": "shell", "node": "javascript", "perl": "perl",
    "ruby": "ruby", "lua": "lua", "tclsh": "tcl", "php": "php", "rscript": "r",
}  # fmt: skip
CPLUSPLUS = re.compile(
    r"^[ \t]*+(?:class\s++\w|namespace\s++\w|template\s*+<|using\s++namespace|public:|private:)", re.M
)
OBJECTIVE_C = re.compile(r"^[ \t]*+(?:@interface|@implementation|@import|#import)", re.M)

VENDORED = {
    "node_modules", "vendor", "vendored", "third_party", "third-party", "thirdparty", "bower_components", "deps",
    "external", "extern", "site-packages", "_vendor",
}  # fmt: skip
GENERATED_NAMES = re.compile(
    r"(?:\.min\.(?:js|css)|[._]pb2?(?:_grpc)?\.(?:py|go|cc|h)|\.pb\.(?:go|cc|h)|\.g\.dart|\.designer\.cs|"
    r"package-lock\.json|-lock\.ya?ml|\.bundle\.js|_generated\.\w+)$",
    re.IGNORECASE,
)
GENERATED = re.compile(
    r"(?i:@generated\b|\bdo not (?:edit|modify)\b|(?:auto(?:matically)?[- ]?|this file (?:is|was) )generated\b)"
)
MINIFIED_LINE = 500
"""Mean characters per line; people write 30 to 60."""

DATA_SHARE = 0.5
"""Share of digits, commas and hexadecimal literals above which a file is a table, not a program."""

DATA = re.compile(r"(?:0x[0-9a-fA-F]+|\d)[\s,]*")


def language_of(name: str, text: str = "") -> str:
    """``src/dict.c`` → ``c``; empty for what is not source code. Content decides between languages of one ending."""
    path = PurePosixPath(name.lower())
    language = LANGUAGES.get(path.suffix) or NAMES.get(path.name, "")
    if language == "c" and path.suffix == ".h" and CPLUSPLUS.search(text):
        return "c++"
    if path.suffix in (".m", ".h") and OBJECTIVE_C.search(text):
        return "objective-c"
    if not language and not path.suffix and (shebang := SHEBANG.match(text)):
        return INTERPRETERS.get(shebang.group(1).rstrip("0123456789."), "")
    return language


def may_be_code(name: str) -> bool:
    """Known by its name, or without an ending, so that its first line must tell."""
    return bool(language_of(name)) or not PurePosixPath(name).suffix


def not_written(name: str, text: str) -> str:
    """Why a file is left out: ``vendored``, ``generated``, ``minified`` or ``data``; else empty."""
    if VENDORED & set(PurePosixPath(name.lower()).parts[:-1]):
        return "vendored"
    if GENERATED_NAMES.search(name) or GENERATED.search(text[:1000]):
        return "minified" if ".min." in name else "generated"
    if len(text) > 1000 and len(text) / (text.count("\n") + 1) > MINIFIED_LINE:
        return "minified"
    sample = text[:20_000]
    if len(text) > 2000 and sum(len(match) for match in DATA.findall(sample)) > DATA_SHARE * len(sample):
        return "data"
    return ""
