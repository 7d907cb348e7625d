r"""LaTeX to text: sections, mathematics, captions, tables and code stay; comments, pictures and bibliography go.

Mathematics is kept as written (``$E = mc^2$``, ``\begin{equation}``), with the text's own macros written out. Section
titles become Markdown headings, footnotes paragraphs behind theirs, tables rows between bars; of a formatting command
its argument stays.

The text is read once from left to right, as TeX reads it: commands with all letters of their name, groups, formulas.
What a group or an environment is for is settled where it closes; what never closes stays text.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from altiplano.corpus.extraction.latex import commands
from altiplano.corpus.extraction.latex.lexing import address, code_of, without_comments
from altiplano.corpus.extraction.latex.macros import expand_macros
from altiplano.corpus.extraction.latex.places import OPTION, Places
from altiplano.corpus.extraction.latex.units import unit

TOKEN = re.compile(r"\\(?:([A-Za-z]++)(\*?)([ \t]*+(?:\n[ \t]*+(?!\n))?+)|(.|\Z))|\$|\{|\}|~|``|''|--|&", re.DOTALL)
BEGIN = re.compile(r"\\begin\s*+\{document\}")
END = re.compile(r"\\(?:end\s*+\{document\}|bye(?![A-Za-z])|endinput(?![A-Za-z])|enddocument(?![A-Za-z]))")
GERMAN = re.compile(r"\\usepackage\s{0,9}(?:\[[^\]]{0,200}german[^\]]{0,200}\]\s{0,9}\{babel|\{n?german)\}")
SHORTHANDS = {
    **dict(zip("aouAOU", "äöüÄÖÜ", strict=True)), "s": "ß", "z": "ß", "`": "„", "'": "“", "<": "«", ">": "»",
    "-": "", "|": "", '"': "", "=": "-", "~": "-",
}  # fmt: skip
SHORTHAND = re.compile(r"(?<!\\)\"([aouAOUsz`'<>|\"=~-])")
"""What babel makes of quotation marks in German: "a is ä."""

LABEL = re.compile(r"\\label\s*+\{[^{}]*+\}\s*+")
BLANK = re.compile(r"\n(?:[ \t]*+\n)++")
ENVIRONMENT = re.compile(r"\s*+\{\s*+([^{}\\]{0,100}?)\s*+\}")
COLUMNS = re.compile(r"\*?\s*+\{[^{}]{0,20}\}")
OPTION_THEN_GROUP = re.compile(r"(?:\[(?:[^\[\]{}]|\{[^{}]{0,300}\}){0,500}+\])++(?=\{)")
AFTER_BREAK = re.compile(r"\*?(?:[ \t]*+\[[^\[\]\n]{0,60}\])?[ \t]*+\n?")
LISTING_CAPTION = re.compile(r"\[[^\]\n]{0,300}?\bcaption\s?=\s?(?:\{([^{}]{1,300})\}|([^,{}\]]{1,300}))")
ACCENTED = re.compile(r"[ \t]*+(?:\\([A-Za-z]++)[ \t]?|(\{)|([^\W\d_]))")
MARK_OF_NOTE = re.compile(r"\{[^{}]{0,10}\}[ \t]*+(?=\{)")
ROW, CELL = "\ue002", "\ue003"
HELD = re.compile("\ue000(\\d+)\ue001")
OWN = str.maketrans("", "", "\ue000\ue001" + ROW + CELL)

MAX_OPEN = 8
"""Nested groups whose text is looked at once more where they close; each copies what is inside it."""


def text_of_latex(source: str) -> str:
    """The text between ``\\begin{document}`` and its end, or all of it."""
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    if not source.isascii():
        source = source.translate(OWN) if any(own in source for own in ("\ue000", "\ue001", ROW, CELL)) else source
    held: list[str] = []

    def hold(kind: str, written: str) -> str:
        if kind in ("comment", "comment*") or kind.startswith("filecontents"):
            return "\n"
        if kind == "href":
            return "\\href{}"
        if kind in ("verb", "url"):
            held.append(address(written) if kind == "url" else written)
            return f"\ue000{len(held) - 1}\ue001"
        caption = LISTING_CAPTION.match(written[:1000])
        held.append(f"```\n{code_of(kind, written)}\n```")
        if caption:
            held[-1] = f"{caption[1] or caption[2]}\n\n{held[-1]}"
        return f"\n\ue000{len(held) - 1}\ue001\n"

    source = expand_macros(without_comments(source, hold))
    begun = BEGIN.search(source)
    first = begun.end() if begun else 0
    ended = END.search(source, first)
    body = source[first : ended.start() if ended else len(source)]
    if "{beamer}" in source[:first]:
        body = FRAME.sub(r"\1\\frametitle{", OVERLAY.sub(r"\1", body))
    if GERMAN.search(source, 0, first):
        body = SHORTHAND.sub(lambda match: SHORTHANDS[match[1]], body)
    return _Writer(body, held).text()


@dataclass(eq=False)
class Frame:
    """A group or environment that means something where it closes; ``at`` is where its output begins."""

    kind: str
    at: int
    note: str = ""
    """A heading's signs, an accent's mark, an environment's name."""

    captions: list[str] = field(default_factory=list)


class _Writer:
    def __init__(self, source: str, held: list[str]):
        self.source = source
        self.held = held
        self.out: list[str] = []
        self.frames: list[Frame | None] = []
        """Open groups, None for those that mean nothing, and environments."""

        self.open = 0
        """Frames among them."""

        self.environments: dict[str, int] = {}
        self.tables = 0
        self.figures: list[Frame] = []
        self.notes: list[str] = []
        self.places = Places(source)

    def text(self) -> str:  # noqa: PLR0912
        source, out, frames = self.source, self.out, self.frames
        search, special = TOKEN.search, SPECIAL
        known, without_text = commands.LETTERS, commands.WITHOUT_TEXT
        at = 0
        while match := search(source, at):
            start, end = match.span()
            if start > at:
                if self.notes and not self.open:
                    self._paragraph(source[at:start])
                else:
                    out.append(source[at:start])
            at = end
            name = match[1]
            if name is not None:
                if (letter := known.get(name)) is not None:
                    out.append(letter + match[2])
                elif (handle := special.get(name)) is not None:
                    at = handle(self, name, end)
                elif (count := without_text.get(name)) is not None:
                    at = self.places.after_arguments(end, count)
                    if match[3] and at == end:
                        out.append(match[3])
                elif name.startswith(CITATIONS):
                    at = self.places.after_arguments(end, 1)
                elif source[end : end + 1] == "[" and (option := OPTION_THEN_GROUP.match(source, end)):
                    at = option.end()
            elif (symbol := match[4]) is not None:
                at = self._symbol(symbol, end)
            else:
                sign = source[start]
                if sign == "$":
                    at = self._dollar(start)
                elif sign == "{":
                    frames.append(None)
                elif sign == "}":
                    self._close_group()
                elif sign == "~":
                    out.append(" ")
                elif sign == "&":
                    out.append("&" if not self.tables else CELL if self.tables == 1 else " ")
                elif sign == "-":
                    dash = "—" if source[end : end + 1] == "-" else "–"
                    at = end + (dash == "—")
                    out.append(dash)
                else:
                    out.append("“" if sign == "`" else "”")
        out.append(source[at:])
        self._write_notes()
        return self._restored(_tidy("".join(out).replace(ROW, "\n").replace(CELL, "&")))

    def _restored(self, text: str) -> str:
        if "\ue000" not in text:
            return text
        return HELD.sub(lambda match: self.held[int(match[1])] if int(match[1]) < len(self.held) else "", text)

    # what stands outside the running text

    def _hold(self, formula: str) -> str:
        formula = BLANK.sub("\n", self._formula(formula))
        self.held.append(formula)
        return f"\ue000{len(self.held) - 1}\ue001"

    def _formula(self, formula: str) -> str:
        if "\\label" in formula:
            formula = LABEL.sub("", formula)
        if "\\ensuremath" in formula:
            formula = formula.replace("\\ensuremath", "")
        return self._restored(formula)

    def _paragraph(self, text: str) -> None:
        """Text with footnotes pending: they stand behind its first paragraph."""
        if blank := BLANK.search(text):
            self.out.append(text[: blank.start()])
            self._write_notes()
            text = text[blank.end() :]
        self.out.append(text)

    def _write_notes(self) -> None:
        for note in self.notes:
            self.out.append(f"\n\n{note}")
        if self.notes:
            self.out.append("\n\n")
            self.notes.clear()

    # groups

    def _group(self, at: int, frame: str, note: str = "") -> int:
        """Opens the group that begins at ``at``, if one does, as ``frame``."""
        begin = self.places.after_space(at)
        if self.source[begin : begin + 1] != "{":
            return at
        if self.open >= MAX_OPEN:
            self.frames.append(None)
        else:
            self.frames.append(Frame(frame, len(self.out), note))
            self.open += 1
        return begin + 1

    def _close_group(self) -> None:
        if not self.frames:
            return
        top = self.frames[-1]
        if top is None:
            self.frames.pop()
        elif top.kind != "environment":
            self.frames.pop()
            self.open -= 1
            body = "".join(self.out[top.at :])
            del self.out[top.at :]
            self._finish(top, body)

    def _finish(self, frame: Frame, body: str) -> None:
        out = self.out
        if frame.kind == "accent":
            if body.startswith("\ue000"):  # over a formula
                out.append(body)
                return
            body = unicodedata.normalize("NFC", body)
            letter = {"ı": "i", "ȷ": "j"}.get(body[:1], body[:1])
            out.append(f"{letter}{frame.note}{body[1:]}" if letter.strip() else commands.ALONE.get(frame.note, ""))
        elif frame.kind == "note":
            if body := body.strip():
                self.notes.append(" ".join(body.split()) if "\n" in body else body)
        elif body := " ".join(body.split()):
            if frame.kind == "heading":
                if not self.open:
                    self._write_notes()
                out.append(f"\n\n{frame.note} {body}\n\n")
            else:
                self._write_apart(body)

    def _write_apart(self, text: str) -> None:
        """A caption: with its picture, or else a paragraph of its own."""
        if self.figures:
            self.figures[-1].captions.append(text)
        else:
            self.out.append(f"\n\n{text}\n\n")

    # commands

    def _symbol(self, symbol: str, at: int) -> int:
        source, out = self.source, self.out
        if symbol == "\\":
            out.append("\n" if not self.tables else ROW if self.tables == 1 else " ")
            after = AFTER_BREAK.match(source, at)
            return after.end() if after else at
        if closing := {"[": "\\]", "(": "\\)"}.get(symbol):
            found = self.places.of_closing(closing, at)
            if found >= 0:
                out.append(self._hold(source[at - 2 : found + 2]))
                return found + 2
            return at
        if symbol in commands.ACCENTS:
            return self._accent(symbol, at)
        out.append(commands.SYMBOLS.get(symbol, ""))
        return at

    def _accent(self, name: str, at: int) -> int:
        mark = commands.ACCENTS[name]
        match = ACCENTED.match(self.source, at)
        if match is None:
            return at
        if match[2]:
            if self.source[match.end() : match.end() + 1] == "}":
                self.out.append(commands.ALONE.get(name, ""))
                return match.end() + 1
            return self._group(at, "accent", mark)
        letter = match[3] or commands.LETTERS.get(match[1], "")
        if len(letter) != 1:
            return at
        self.out.append({"ı": "i", "ȷ": "j"}.get(letter, letter) + mark)
        return match.end()

    def _dollar(self, at: int) -> int:
        source = self.source
        if source.startswith("$$", at):
            found = self.places.of_closing("$$", at + 2)
            if found >= 0:
                self.out.append(self._hold(source[at : found + 2]))
                return found + 2
            return at + 2
        end = self.places.after_formula(at)
        if not end:
            return at + 1
        formula = source[at:end]
        self.out.append(self._formula(formula) if "\\label" in formula or "\\ens" in formula else formula)
        return end

    def _heading(self, name: str, at: int) -> int:
        at = self.places.after_options(at)
        return self._group(at, "heading", commands.LEVEL[name])

    def _caption(self, name: str, at: int) -> int:
        if name == "captionof":
            at = self.places.after_arguments(at, 1)
        at = self.places.after_options(at)
        return self._group(at, "caption")

    def _part_of_figure(self, name: str, at: int) -> int:
        r"""``\subfloat[caption]{picture}``"""
        option = OPTION.match(self.source, at)
        if option and (caption := self._short(option[1])):
            self._write_apart(caption)
        return option.end() if option else at

    def _short(self, source: str) -> str:
        """The text of an option, which is read apart from what surrounds it."""
        return _Writer(source, self.held).text() if len(source) < 500 else ""

    def _raised(self, name: str, at: int) -> int:
        if self.source[at : at + 1] == "{" and self.source[at + 1 : at + 2] in "0123456789+-−":
            self.out.append("^")
        return at

    def _quantity(self, name: str, at: int) -> int:
        r"""``\SI{5}{\kilo\metre}`` of siunitx: 5 km."""
        text = ""
        for before in QUANTITIES[name]:
            at = self.places.after_options(at)
            end = self.places.groups.end(at)
            if end < 0:
                break
            inside, at = self.source[at + 1 : end - 1], end
            if name == "ang":  # 12;30;5: degrees, minutes and seconds
                inside = "".join(f"{part}{sign}" for part, sign in zip(inside.split(";"), "°′″", strict=False) if part)
            text += f"{before}{unit(inside) if before == UNIT else inside.replace(';', ', ')}"
        self.out.append(text.strip())
        return at

    def _note(self, name: str, at: int) -> int:
        at = self.places.after_options(at)
        if mark := MARK_OF_NOTE.match(self.source, at):  # plain TeX's \footnote{*}{text}
            at = mark.end()
        return self._group(at, "note")

    def _item(self, name: str, at: int) -> int:
        self.out.append("\n- ")
        option = OPTION.match(self.source, at)
        if option is None:
            return at
        if label := self._short(option[1]):
            self.out.append(f"{label} ")
        return option.end()

    def _ensured(self, name: str, at: int) -> int:
        end = self.places.groups.end(at)
        if end < 0:
            return at
        self.out.append(f"${self._formula(self.source[at + 1 : end - 1])}$")
        return end

    # environments

    def _begin(self, name: str, at: int) -> int:
        source, out = self.source, self.out
        match = ENVIRONMENT.match(source, at)
        if match is None:
            return at
        after, environment = match.end(), match[1]
        base = environment.rstrip("*")
        if base in commands.MATHEMATICS:
            closing = f"\\end{{{environment}}}"
            found = self.places.of_closing(closing, after)
            if found >= 0:
                end = found + len(closing)
                out.append(self._hold(f"\\begin{{{environment}}}{source[after:end]}"))
                return end
            out.append("\n")
            return after
        out.append("\n")
        if base in commands.TABLES:
            after = self.places.after_arguments(after, commands.TABLES[base] + (environment == "tabular*"))
            self.tables += 1  # of a table in a cell the rows are words of the cell
        elif base in commands.FIGURES:
            after = self.places.after_arguments(after, 2 if base == "wrapfigure" else 0)
        elif base not in commands.DROPPED:
            option = OPTION.match(source, after)
            if base == "multicols" and (columns := COLUMNS.match(source, after)):  # {2}[\section{Title}]
                option = OPTION.match(source, columns.end())
                out.append(f"\n\n{self._short(option[1])}\n\n" if option else "")
            after = self.places.after_arguments(after, commands.LAYOUT.get(base, 0))
            if option and option[1] and base.lower() in commands.THEOREMS:
                title = self._short(option[1])
                out.append(f"({title}) " if title else "")
            return after
        frame = Frame("environment", len(out), environment)
        self.frames.append(frame)
        self.open += 1
        self.environments[environment] = self.environments.get(environment, 0) + 1
        if base in commands.FIGURES:
            self.figures.append(frame)
        return after

    def _end(self, name: str, at: int) -> int:
        match = ENVIRONMENT.match(self.source, at)
        if match is None:
            return at
        environment = match[1]
        if self.environments.get(environment):
            while True:  # groups and environments inside that nothing has closed
                frame = self.frames.pop()
                if frame is None:
                    continue
                self.open -= 1
                if frame.kind != "environment":
                    continue
                self.environments[frame.note] -= 1
                self._end_of(frame)
                if frame.note == environment:
                    break
        self.out.append("\n")
        return match.end()

    def _end_of(self, frame: Frame) -> None:
        out, base = self.out, frame.note.rstrip("*")
        if base in commands.TABLES:
            self.tables -= 1
            if self.tables:
                return
            rows = "".join(out[frame.at :]).split(ROW)
            del out[frame.at :]
            out.append("\n".join(filter(None, map(_row, rows))) + "\n")
        elif base in commands.FIGURES:
            self.figures.remove(frame)
            del out[frame.at :]
            if self.figures:
                self.figures[-1].captions += frame.captions
            else:
                out += [f"\n\n{caption}\n\n" for caption in frame.captions]
        else:
            del out[frame.at :]


def _row(row: str) -> str:
    cells = [" ".join(cell.split()) for cell in row.split(CELL)]
    return f"| {' | '.join(cells)} |" if any(cells) else ""


def _tidy(text: str) -> str:
    text = unicodedata.normalize("NFC", text).replace("\t", " ")
    text = re.sub(r" {2,}", " ", text).replace(" \n", "\n").replace("\n ", "\n")
    return re.sub(r"\n{3,}", "\n\n", text).strip()


UNIT = " "
QUANTITIES = {"SI": ("", UNIT), "qty": ("", UNIT), "si": (UNIT,), "unit": (UNIT,), "SIrange": ("", "–", UNIT),
              "qtyrange": ("", "–", UNIT), "numrange": ("", "–"), "ang": ("",), "numlist": ("",), "SIlist": ("", UNIT),
              "qtylist": ("", UNIT)}  # fmt: skip
"""What is written before each argument."""

OVERLAY = re.compile(r"(\\[A-Za-z]{1,40}\*?(?:\{[a-z]{1,20}\})?)<[0-9,\-+.|@:a-z ]{0,40}>")
FRAME = re.compile(r"(\\begin\{frame\}(?:\[[^\[\]\n]{0,80}\])?)\{")
r"""Of beamer: on which of a frame's slides something is seen (``\only<2->{…}``), and a frame's title."""

CITATIONS = ("cite", "Cite", "parencite", "textcite", "autocite", "footcite", "fullcite", "supercite", "Parencite")
SPECIAL: dict[str, Callable[[_Writer, str, int], int]] = {
    **dict.fromkeys(commands.LEVEL, _Writer._heading),
    **dict.fromkeys(("caption", "subcaption", "captionof", *commands.APART), _Writer._caption),
    **dict.fromkeys(("subfloat", "subfigure", "subtable"), _Writer._part_of_figure),
    **dict.fromkeys(QUANTITIES, _Writer._quantity),
    **dict.fromkeys(("textsuperscript",), _Writer._raised),
    **dict.fromkeys(("footnote", "footnotetext", "thanks", "marginpar", "endnote", "sidenote"), _Writer._note),
    **dict.fromkeys(commands.DIMENSION, lambda writer, name, at: writer.places.after_length(at)),
    **dict.fromkeys((name for name in commands.ACCENTS if name.isalpha()), _Writer._accent),
    **dict.fromkeys(("ensuremath",), _Writer._ensured),
    "item": _Writer._item,
    "input": lambda writer, name, at: writer.places.after_file_name(at),
    "iffalse": lambda writer, name, at: writer.places.after_hidden(at),
    "begin": _Writer._begin,
    "end": _Writer._end,
}
"""What else a command does: given its name and the place behind it, the place to go on from."""
