"""A page on which people label what detectors found: one file, no request elsewhere; labels are saved as JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from altiplano.formatting import number, percent
from altiplano.records import Redteam
from altiplano.report.frame import render_page
from altiplano.storage import write_text


class Finding(Protocol):
    """A row of the red team's transcript."""

    @property
    def id(self) -> str: ...
    @property
    def probe(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def output(self) -> str: ...


def write_review_page(result: Redteam, findings: Sequence[Finding], path: Path) -> None:
    by_probe: dict[str, list[Finding]] = {}
    for finding in findings:
        by_probe.setdefault(finding.probe, []).append(finding)
    tests: Mapping[str, Any] = {test.name.removeprefix("probe: "): test for test in result.tests}
    page = render_page(
        "review.html.j2",
        kind="review",
        name=result.model or "model",
        subtitle="What detectors call harm. Say whether it is; then save the labels and give them back with --labels.",
        result=result,
        tests=tests,
        findings=by_probe,
        number=number,
        percent=percent,
    )
    write_text(path, page)
