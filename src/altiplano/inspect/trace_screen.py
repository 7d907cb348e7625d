"""One document's way through curation, on the terminal."""

import math
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from altiplano.corpus.annotations.scripts import primary
from altiplano.corpus.pii.detect import PLACEHOLDER
from altiplano.formatting import number
from altiplano.inspect.screens import printable
from altiplano.recipe.units import human_bytes
from altiplano.report.terminal import GREEN, RED, plain_table

TEXT = 2000
"""Characters of the text that are shown without --full."""

COPIES = 5

PLACEHOLDERS = "black on yellow"


def trace_screen(run: Path, found: dict[str, Any], full: bool) -> RenderableType:
    """``found`` is what ``document_trace.trace`` gave."""
    parts = [_fate(found), "", *_about(found), "", _checks(found), "", _perplexity(found), _personal_data(found)]
    return Group(*parts, *_copies(run, found), "", Rule(style="dim"), *_text(found, full))


def _fate(found: dict[str, Any]) -> Text:
    kept = f"kept, {'for training' if found['split'] == 'train' else 'held out'}"
    fate = (kept, GREEN) if found["keep"] else (f"dropped: {found['reason']}", RED)
    return Text.assemble((found["id"], "bold"), "  ", fate)


def _about(found: dict[str, Any]) -> list[Text]:
    named, size = found["language_identified"], found["size"]
    where = f"{found['source']}, {printable(found['url'])}" if found["url"] else found["source"]
    if found["domain"] == "code":
        language = found["code_language"]
    else:
        second = named["second_language"] or "none"
        agree = "agrees" if second == primary(named["language"]) else f"says {second}"
        language = f"{named['language']} (probability {named['language_score']:.3f}; the second identifier {agree})"
        if named["declared"]:
            language += f"; its place says {named['declared']}"
        if named["english"] > 0:
            language += f"; {named['english']:.0%} of its lines are English"
    text = f"{number(size['characters'])} characters, {number(size['words'])} words, {human_bytes(size['bytes'])}"
    basis = found["limits_from"]
    limits = "the recipe's"
    if basis and basis["trusted"]:
        limits += f", eased to fit {basis['trusted']:,} trusted documents of {basis['basis']}"
    lines = {"source": where, "domain": found["domain"], "language": language, "text": text, "limits": limits}
    return [_line(name, value) for name, value in lines.items()]


def _checks(found: dict[str, Any]) -> RenderableType:
    """Rules that it failed first, then the others in the order in which they are asked."""
    table = plain_table("", "rule", "value", "", "limit", "")
    for check in sorted(found["checks"], key=lambda check: check["passed"]):
        sign = "≤" if check["largest"] else "≥"
        mark = Text("✓", GREEN) if check["passed"] else Text("✗", RED)
        numbers = ["" if math.isnan(value) else number(value, 4) for value in (check["value"], check["limit"])]
        style = None if check["passed"] else RED
        table.add_row(check["reason"], numbers[0], sign if numbers[1] else "", numbers[1], mark, style=style)
    return table


def _perplexity(found: dict[str, Any]) -> Text:
    ranks = found["perplexity"]
    if ranks is None:
        return _line("perplexity", "not scored: dropped before, or its domain and language have too few documents")
    most = ranks.get("largest")
    limit = f"; at most {most:,.4g} is kept" if most is not None else ""
    return _line(
        "perplexity", f"{ranks['value']:,.4g}, in the {ranks['bucket']} third of its domain and language{limit}"
    )


def _personal_data(found: dict[str, Any]) -> Text:
    data = found["personal_data"]
    if not data["found"]:
        return _line("personal", "no personal data found")
    kinds = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in data["removed"].items())
    return _line("personal", f"removed {kinds}" if kinds else f"{data['found']:,} pieces found, none removed")


def _copies(run: Path, found: dict[str, Any]) -> list[Text]:
    copies = found["copies"]
    others = copies["others"]
    if found["reason"] == "in an earlier run":
        return [_line("copies", f"an earlier run has {copies['cluster']}")]
    if not others:
        return [_line("copies", "none")]
    kept = copies["kept"]
    stayed = "this one stayed" if kept == found["id"] else f"{kept} stayed" if kept else "none of them stayed"
    lines = [_line("copies", f"{copies['documents']:,} documents with (nearly) the same text; {stayed}")]
    for other in sorted(others, key=lambda other: not other["keep"])[:COPIES]:
        fate = "kept" if other["keep"] else other["reason"]
        lines.append(_line("", f"{other['id']}  {fate}  {printable(other['url'] or other['source'])}"))
    if kept and kept != found["id"]:
        lines.append(Text.assemble("            ", (f"altiplano inspect {run} {kept[:12]}", "bold")))
    return lines


def _text(found: dict[str, Any], full: bool) -> list[Text]:
    whole = found["text"]
    shown = Text(printable(whole if full else whole[:TEXT]))
    shown.highlight_regex(PLACEHOLDER, PLACEHOLDERS)
    if full or len(whole) <= TEXT:
        return [shown]
    return [shown, Text(f"\n{len(whole) - TEXT:,} more characters: --full", "dim")]


def _line(name: str, text: str) -> Text:
    return Text.assemble((f"{name:<12}", "dim"), text)
