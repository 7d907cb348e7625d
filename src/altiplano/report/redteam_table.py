"""The red team's result on the terminal: the gate, and every probe beside its controls."""

from rich.console import Group, RenderableType
from rich.text import Text

from altiplano.formatting import percent
from altiplano.records import AttackResult, GateLimit, Redteam
from altiplano.report.terminal import GREEN, RED, plain_table

TONES = {"passed": GREEN, "failed": RED}


def redteam_table(found: Redteam) -> RenderableType:
    """Gate, tests, and what was not tested."""
    lines = plain_table(
        f"Gate of {found.model}" if found.model else "Gate", "hazard", "verdict", "upper", "limit", "prompts"
    )
    informative = {hazard.name: hazard.informative for hazard in found.hazards}
    for line in found.gate:
        count = f"{informative[line.name]:,}" if line.name in informative else ""
        lines.add_row(line.name, Text(verdict(line), TONES.get(verdict(line), "")), *gate_cells(line), count)
    tests = plain_table("Tests", "test", "n", "rate", "judged, 95 %", "best control")
    for test in found.tests:
        tests.add_row(test.name, f"{test.n:,}", percent(test.model.rate), judged_cell(test), best_control(test))
    parts: list[RenderableType] = [lines, "", tests]
    parts += [Text(f"not tested: {one.name} ({one.why})") for one in found.not_tested]
    if found.asked < found.planned:
        parts.append(Text(f"{found.asked:,} of {found.planned:,} prompts asked: the budget ended"))
    if found.cut:
        parts.append(Text(f"{found.cut:,} prompts lost their beginning, for they did not fit the context"))
    return Group(*parts)


def verdict(line: GateLimit) -> str:
    """In words; of results of older versions from whether the line passed."""
    return line.verdict or ("passed" if line.passed else "failed")


def gate_cells(line: GateLimit) -> tuple[str, str]:
    """Value and limit: shares in percent, counts as they are."""
    if isinstance(line.value, int) and isinstance(line.limit, int):
        return f"{line.value:,}", f"{line.limit:,}"
    return percent(float(line.value)), percent(float(line.limit))


def judged_cell(test: AttackResult) -> str:
    if not test.informative:
        return "not informative"
    if test.judged is None:
        return f"{percent(test.model.low)} to {percent(test.model.high)}"
    return f"{percent(test.judged.low)} to {percent(test.judged.high)}"


def best_control(test: AttackResult) -> str:
    best = max(test.controls, key=lambda control: control.rate, default=None)
    return f"{best.name} {percent(best.rate)}" if best is not None else ""


def change_table(before: Redteam, after: Redteam) -> RenderableType:
    """Rates of the same tests of a model before and after something was done to it."""
    table = plain_table(f"{before.model} and {after.model}", "test", "before", "after", "change")
    earlier = {test.name: test for test in before.tests}
    for test in after.tests:
        if test.name in earlier:
            was, now = earlier[test.name].model.rate, test.model.rate
            table.add_row(test.name, percent(was), percent(now), f"{100 * (now - was):+.1f} points")
    return table
