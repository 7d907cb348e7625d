"""Programming languages, and what a repository holds that nobody wrote: by file name and by content."""

import re
from pathlib import PurePosixPath

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
    """Why nobody wrote this file here: ``vendored``, ``generated``, ``minified``, ``data``; else empty."""
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
