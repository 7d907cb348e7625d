"""The samples in the repository are those that their script builds."""

import json
import subprocess
import sys

from corpus.support import SAMPLES


def test_samples_are_what_build_makes_of_them(tmp_path):
    import shutil

    copy = tmp_path / "samples"
    shutil.copytree(SAMPLES, copy)
    for path in [*copy.glob("web/*"), copy / "key.json", copy / "reference" / "glossary.jsonl"]:
        path.unlink()
    subprocess.run([sys.executable, str(copy / "build.py")], check=True)
    assert json.loads((copy / "key.json").read_text()) == json.loads((SAMPLES / "key.json").read_text())
    for name in ("web/magazine-0.warc.gz", "web/magazine-1.warc.gz", "reference/glossary.jsonl"):
        assert (copy / name).read_bytes() == (SAMPLES / name).read_bytes()
