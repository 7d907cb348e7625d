"""axe-core over HTML pages of Altiplano, in headless Chromium: light, dark, and on a phone.

    npm install axe-core
    python benchmarks/accessibility.py runs/quickstart/report.html redteam/NAME/review.html \\
        --axe node_modules/axe-core/axe.min.js --pictures pictures

Prints every violation with its impact and first elements; exit status 1 where one is serious or critical. --pictures:
a folder for what each page looks like on a desktop, a phone of 390 pixels, in the dark, and in print. Without chromium
nothing is done, and said.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from html import unescape
from pathlib import Path

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
DARK = "--blink-settings=preferredColorScheme=0"
RUN = """axe.run(document, { resultTypes: ["violations"] }).then((found) => {
  const short = found.violations.map((one) => ({ id: one.id, impact: one.impact, count: one.nodes.length,
    what: one.help, where: one.nodes.slice(0, 3).map((node) => node.target.join(" ")) }));
  const said = JSON.stringify({ passes: found.passes.length, violations: short });
  document.documentElement.dataset.axe = said;
  if (parent !== window) parent.postMessage(said, "*");
});"""
# Headless chromium has a least window width, so a phone is a frame inside a page.
PHONE = """<!doctype html><html lang="en"><body style="margin:0">
<iframe style="width:390px;height:{height}px;border:0" src="{page}"></iframe>
<script>onmessage = (event) => {{ document.documentElement.dataset.axe = event.data; }};</script></body></html>"""
TALL = 12_000


def chromium(*arguments: str, profile: Path) -> str:
    program = shutil.which("chromium") or shutil.which("google-chrome") or ""
    command = [program, *FLAGS, f"--user-data-dir={profile}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout


def with_axe(page: Path, axe: str, folder: Path) -> Path:
    text = page.read_text(encoding="utf-8")
    nonce = re.search(r"'nonce-([^']+)'", text)
    tag = f'<script nonce="{nonce[1]}">' if nonce else "<script>"
    copy = folder / page.name
    copy.write_text(text.replace("</body>", f"{tag}{axe}</script>{tag}{RUN}</script></body>"), encoding="utf-8")
    return copy


def judge(page: Path, folder: Path, *flags: str) -> dict:  # type: ignore[type-arg]
    dom = chromium(*flags, "--virtual-time-budget=20000", "--dump-dom", page.as_uri(), profile=folder / "profile")
    found = re.search(r'<html[^>]* data-axe="([^"]*)"', dom)
    if found is None:
        sys.exit(f"axe-core did not end on {page.name}")
    return json.loads(unescape(found[1]))  # type: ignore[no-any-return]


def pictures(page: Path, to: Path, folder: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    name, profile = page.stem, folder / "profile"
    phone = folder / "phone-picture.html"
    phone.write_text(PHONE.format(page=page.resolve().as_uri(), height=TALL))
    views = (
        ("desktop", page, ["--window-size=1280,6000"]),
        ("dark", page, ["--window-size=1280,6000", DARK]),
        ("phone", phone, [f"--window-size=500,{TALL}"]),
    )
    for view, shown, flags in views:
        chromium(*flags, f"--screenshot={to / f'{name}-{view}.png'}", "--virtual-time-budget=3000",
                 shown.resolve().as_uri(), profile=profile)  # fmt: skip
    chromium(f"--print-to-pdf={to / f'{name}-print.pdf'}", "--no-pdf-header-footer", page.resolve().as_uri(),
             profile=profile)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="+")
    parser.add_argument("--axe", type=Path, required=True)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        print("skipped: chromium is not installed")
        return 0
    serious = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for page in options.pages:
            copy = with_axe(page, options.axe.read_text(encoding="utf-8"), folder)
            phone = folder / "phone.html"
            phone.write_text(PHONE.format(page=copy.as_uri(), height=2000))
            for view, shown, flags in (("light", copy, []), ("dark", copy, [DARK]), ("phone", phone, [])):
                found = judge(shown, folder, "--window-size=1280,1000", *flags)
                bad = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
                serious += len(bad)
                print(f"{page} {view}: {found['passes']} rules hold, {len(found['violations'])} do not")
                for one in found["violations"]:
                    print(f"  {one['impact']}: {one['id']} ({one['what']}), {one['count']} elements: {one['where']}")
            if options.pictures:
                pictures(page, options.pictures, folder)
    return int(serious > 0)


if __name__ == "__main__":
    sys.exit(main())
