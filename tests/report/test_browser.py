"""The report in a real browser: no error, charts with points, readable on a phone."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from altiplano.report import report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: the report is not opened")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
]
# Appended to a copy of the page. What it measures comes back in an attribute of the root element.
PROBE = """<script>
const all = (selector) => [...document.querySelectorAll(selector)], box = (e) => e.getBoundingClientRect();
const wide = all("body *").filter((e) => !e.closest(".scroll, svg") && box(e).right > innerWidth + 1);
document.querySelector("button.log").click();
const svg = document.querySelector("svg[data-hover]:not([hidden])"), clientX = box(svg).left + box(svg).width / 2;
svg.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY: box(svg).top + 20 }));
const texts = all("figure svg:not([hidden]) text"), card = (t) => box(t.closest("figure"));
const clipped = texts.filter((t) => box(t).left < card(t).left - 1 || box(t).right > card(t).right + 1);
document.documentElement.dataset.probe = JSON.stringify({
  width: innerWidth,
  scroll: document.documentElement.scrollWidth,
  wide: wide.map((e) => e.tagName),
  clipped: clipped.map((t) => t.textContent),
  smallest: Math.min(...texts.map((t) => box(t).height)),
  hidden: all("svg[hidden]").length,
  tip: document.querySelector(".tip:not([hidden])")?.textContent ?? "",
  page: getComputedStyle(document.body).backgroundColor,
});
if (parent !== window) parent.postMessage(document.documentElement.dataset.probe, "*");
</script>"""
# Headless chromium has a least window width, so a phone is a frame inside a page.
PHONE = """<html><body><iframe style="width:390px;height:2000px;border:0" src="{page}"></iframe>
<script>onmessage = (event) => {{ document.documentElement.dataset.probe = event.data; }};</script></body></html>"""


def open_page(page: Path, tmp_path: Path, *flags: str) -> tuple[str, list[str]]:
    """The page's elements after its scripts ran, and what it wrote to the console."""
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [str(CHROMIUM), *FLAGS, profile, *flags, "--virtual-time-budget=3000", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def with_probe(workspace: Path) -> Path:
    page = report(workspace)
    copy = page.with_name("probe.html")
    nonce = re.search(r"'nonce-([^']+)'", page.read_text())[1]
    probe = PROBE.replace("<script>", f'<script nonce="{nonce}">')
    copy.write_text(page.read_text().replace("</body>", probe + "</body>"))
    return copy


def probed(dom: str) -> dict:  # type: ignore[type-arg]
    found = re.search(r'data-probe="([^"]*)"', dom)
    assert found, dom[:500]
    return json.loads(unescape(found[1]))


def test_a_script_that_got_into_the_page_does_not_run(make_run: Callable[..., Path], tmp_path: Path) -> None:
    page = report(make_run())
    bad = (
        '<script>document.documentElement.dataset.bad = "1"</script><img src="https://example.org/" onerror="alert(1)">'
    )
    (tmp_path / "bad.html").write_text(page.read_text().replace("</main>", bad + "</main>"))
    dom, console = open_page(tmp_path / "bad.html", tmp_path)
    assert "data-bad" not in dom and "Content Security Policy" in "".join(console)


def test_desktop(make_run: Callable[..., Path], tmp_path: Path) -> None:
    dom, console = open_page(with_probe(make_run()), tmp_path, "--window-size=1280,1000")
    assert console == []
    paths = re.findall(r'<path d="([^"]+)" class="curve', dom)
    assert sum(path.count("L") > 300 for path in paths) >= 6
    seen = probed(dom)
    assert seen["scroll"] <= seen["width"] and seen["wide"] == [] and seen["clipped"] == []
    # The click swapped one pair of charts, the pointer brought up the values at its step.
    assert seen["hidden"] == 3 and "step" in seen["tip"] and "smoothed" in seen["tip"]


def test_phone(make_run: Callable[..., Path], tmp_path: Path) -> None:
    phone = tmp_path / "phone.html"
    phone.write_text(PHONE.format(page=with_probe(make_run()).as_uri()))
    dom, console = open_page(phone, tmp_path)
    assert console == []
    seen = probed(dom)
    assert seen["width"] == 390
    assert seen["scroll"] <= 390 and seen["wide"] == [] and seen["clipped"] == []
    assert seen["smallest"] >= 11  # height of a line of text in CSS pixels


def test_dark(make_run: Callable[..., Path], tmp_path: Path) -> None:
    page = with_probe(make_run(("curate", "tokenize", "train")))
    dom, console = open_page(page, tmp_path, "--blink-settings=preferredColorScheme=0")
    assert console == []
    assert probed(dom)["page"] == "rgb(21, 23, 26)"


# What print says becomes what the screen says, on a page as wide as A4 between its margins.
AS_PRINTED = """<script>
const all = (selector) => [...document.querySelectorAll(selector)], { cssRules } = document.styleSheets[0];
for (const rule of cssRules) if (rule.media?.mediaText === "print") rule.media.mediaText = "all";
document.body.style.width = "703px";
const cut = all(".scroll").filter((e) => e.scrollWidth > e.clientWidth + 1);
const hidden = all(".scroll, pre").filter((e) => getComputedStyle(e).overflowX !== "visible");
document.documentElement.dataset.probe = JSON.stringify({
  cut: cut.map((e) => e.ariaLabel), hidden: hidden.length, page: getComputedStyle(document.body).backgroundColor });
</script>"""


def test_print_shows_every_column_on_white_paper(make_run: Callable[..., Path], tmp_path: Path) -> None:
    page = report(make_run())
    nonce = re.search(r"'nonce-([^']+)'", page.read_text())[1]
    probe = AS_PRINTED.replace("<script>", f'<script nonce="{nonce}">')
    page.write_text(page.read_text().replace("</body>", probe + "</body>"))
    dom, _ = open_page(page, tmp_path, "--window-size=1280,1000", "--blink-settings=preferredColorScheme=0")
    assert probed(dom) == {"cut": [], "hidden": 0, "page": "rgb(255, 255, 255)"}
