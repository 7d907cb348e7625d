"""Source code: a folder or an archive of a project. The file name's ending tells the language; others are skipped."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from altiplano.corpus.sources.archive import members
from altiplano.corpus.sources.decoding import decode
from altiplano.corpus.sources.raw import Bad, Raw

LANGUAGES = {
    ".py": "python", ".pyi": "python", ".c": "c", ".h": "c", ".cc": "c++", ".cpp": "c++", ".cxx": "c++", ".hpp": "c++",
    ".cu": "cuda", ".rs": "rust", ".go": "go", ".java": "java", ".kt": "kotlin", ".scala": "scala", ".cs": "c#",
    ".js": "javascript", ".mjs": "javascript", ".jsx": "javascript", ".ts": "typescript", ".tsx": "typescript",
    ".rb": "ruby", ".php": "php", ".pl": "perl", ".lua": "lua", ".r": "r", ".jl": "julia", ".swift": "swift",
    ".m": "objective-c", ".hs": "haskell", ".ml": "ocaml", ".ex": "elixir", ".erl": "erlang", ".clj": "clojure",
    ".sh": "shell", ".bash": "shell", ".tcl": "tcl", ".sql": "sql", ".css": "css", ".html": "html", ".vue": "vue",
    ".f90": "fortran", ".s": "assembly", ".zig": "zig", ".md": "markdown", ".rst": "restructuredtext",
    ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".cmake": "cmake", ".proto": "protobuf",
}  # fmt: skip


def language_of(name: str) -> str:
    """``src/dict.c`` → ``c``; empty for what is not source code."""
    return LANGUAGES.get(PurePosixPath(name.lower()).suffix, "")


def read(path: Path, place: str) -> Iterator[Raw | Bad]:
    for member in members(path, place, lambda name: bool(language_of(name))):
        if isinstance(member, Bad):
            yield member
            continue
        name, data = member
        if b"\0" in data:
            yield Bad("binary file", name)
            continue
        text, repair = decode(data)
        if repair:
            yield Bad(repair, name, lost=False)
        yield Raw(name, name, "code", text, len(data), language_of(name))
