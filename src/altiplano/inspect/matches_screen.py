"""The answer of ``altiplano trace`` on the terminal: the text with its matches, and where each comes from."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from altiplano.formatting import number, percent
from altiplano.inspect.screens import printable
from altiplano.recipe.units import human
from altiplano.report.terminal import GREEN
from altiplano.trace.trace import Origin, Searched, Trace, TracedMatch

CHARACTERS = 2000
"""Of the text that are shown."""

MATCHES = 20
"""That are shown: the longest."""

QUOTED = 240
"""Characters of a match that are shown."""

STEPS = 8

COLOURS = ("black on bright_cyan", "black on bright_yellow")

NAMES = {"train": "training text", "heldout": "held-out text"}


def matches_screen(run: Path, trace: Trace) -> RenderableType:
    shown = sorted(sorted(trace.matches, key=lambda match: match.start - match.end)[:MATCHES], key=lambda m: m.start)
    parts: list[RenderableType] = [_title(run, trace), ""]
    if shown:
        parts += [_text(trace.text, shown), ""]
    for place, match in enumerate(shown):
        parts += [*_match(place, match), ""]
    if len(trace.matches) > len(shown):
        parts += [Text(f"{len(trace.matches) - len(shown):,} shorter matches: --json", "dim"), ""]
    return Group(*parts, *(Text(line, "dim") for line in _notes(trace.searched)))


def _title(run: Path, trace: Trace) -> Text:
    where = NAMES[trace.searched.split]
    if not trace.matches:
        least = f"{trace.least_tokens} tokens in a row" if trace.least_tokens < trace.tokens else "the whole of it"
        return Text.assemble((f"{run}", "bold"), f"  nothing of this text stands in the {where}: not {least}")
    count = f"{len(trace.matches):,} {'match' if len(trace.matches) == 1 else 'matches'}"
    share = percent(trace.covered / max(len(trace.text), 1), 0)
    return Text.assemble((f"{run}", "bold"), f"  {count} in the {where}, {share} of this text's characters")


def _text(whole: str, matches: Sequence[TracedMatch]) -> Text:
    """The text with its matches in turning colours; of two that overlap the later one is on top."""
    text = Text(printable(whole[:CHARACTERS]))
    for place, match in enumerate(matches):
        text.stylize(COLOURS[place % len(COLOURS)], match.start, match.end)
    if len(whole) > CHARACTERS:
        text.append(f"\n{len(whole) - CHARACTERS:,} more characters", "dim")
    return text


def _match(place: int, match: TracedMatch) -> Iterator[Text]:
    times = "once" if match.count == 1 else f"{match.count:,} times"
    documents = "1 document" if match.documents == 1 else f"{match.documents:,} documents"
    colour = COLOURS[place % len(COLOURS)]
    yield Text.assemble((f" {place + 1} ", colour), (f" {match.tokens:,} tokens, {times} in {documents}", "bold"))
    quoted = " ".join(printable(match.text[:QUOTED]).split())
    yield Text(f"    “{quoted}{'…' if len(match.text) > QUOTED else ''}”")
    for origin in match.origins:
        yield from _origin(origin)
    if match.documents > len(match.origins):
        yield Text(f"    {match.documents - len(match.origins):,} more documents: --documents N", "dim")


def _origin(origin: Origin) -> Iterator[Text]:
    document = origin.document
    name = document.id[:12] if document.id else f"{document.shard} document {document.number}"
    about = [f"{document.domain}.{document.language}"]
    about += [one for one in (document.source, document.url) if one]
    about.append(f"licence {document.licence}" if document.licence else "no licence stated")
    if origin.times > 1:
        about.append(f"{number(origin.times)} times")
    yield Text.assemble("    ", (name, "bold"), "  " + printable(", ".join(about)))
    if origin.steps is None:
        return
    steps = origin.steps
    said = []
    if steps.trained:
        said.append(("trained at " + _listed(steps.trained), GREEN))
    if steps.planned:
        said.append(("to be read at " + _listed(steps.planned), ""))
    if steps.without_update:
        said.append(("read without an update at " + _listed(steps.without_update), ""))
    if steps.left_out:
        said.append(("left out after a spike of the loss", ""))
    if not said:
        said.append(("read at no step", ""))
    line = Text(" " * 18)
    for place, (words, style) in enumerate(said):
        line.append("; " if place else "").append(words, style)
    yield line.append("" if origin.steps_of_all else " (of the first places)", "dim")


def _listed(steps: Sequence[int]) -> str:
    more = f" and {len(steps) - STEPS:,} more" if len(steps) > STEPS else ""
    return f"step{'s' if len(steps) > 1 else ''} " + ", ".join(f"{step:,}" for step in steps[:STEPS]) + more


def _notes(searched: Searched) -> Iterator[str]:
    """What was searched, what was not, and what is not known."""
    yield (
        f"searched: {NAMES[searched.split]}, {searched.documents:,} documents, {human(searched.tokens)} tokens; "
        f"index: {searched.index}"
    )
    if searched.split == "train":
        yield "not searched: " + "; ".join(not_searched(searched))
        if searched.steps_note:
            yield f"steps are not known: {searched.steps_note}"
        elif searched.steps_done < searched.steps:
            yield f"training has taken {searched.steps_done:,} of {searched.steps:,} steps"
    if not searched.sources_known:
        yield "sources are not known: the curated documents are not those that were tokenized"


def not_searched(searched: Searched) -> list[str]:
    """What a match could also come from."""
    others = ["held-out text (--heldout)", "documents that curation dropped"]
    return [*others, "what the pretrained model was trained on before"] if searched.pretrained else others
