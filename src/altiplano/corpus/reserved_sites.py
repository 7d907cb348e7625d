"""What sites' ``robots.txt``, ``ai.txt`` and ``tdmrep.json`` in web archives say, before the archives' pages are read.

A crawl stores a site's file anywhere, in any of its archives, so that all archives of a source are read twice.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from altiplano.corpus.readers.listing import ShardTask
from altiplano.corpus.readers.opening import join
from altiplano.corpus.readers.opt_outs import PARSERS, Site
from altiplano.corpus.readers.web_archives import warc
from altiplano.execution import files
from altiplano.execution.base import Engine
from altiplano.execution.map_shards import map_shards
from altiplano.storage import read_json


def find_reserved_sites(tasks: Sequence[ShardTask], steps: Path, engine: Engine) -> Path:
    """Write what the archives of sources with ``robots = true`` hold about their sites, by source and host."""
    path = steps / "sites.json"
    if not path.exists():
        asked = [task for task in tasks if task.source.robots]
        work, output = partial(_collect, folder=steps), partial(_output, steps)
        map_shards("robots.txt", work, asked, output, lambda task: task.size, engine)
        merged: dict[str, dict[str, Site]] = {}
        for task in asked:
            for host, site in read_json(output(task)).items():
                merged.setdefault(task.source.name, {}).setdefault(host, {}).update(site)
        files.write_json(path, merged)
    return path


def _output(folder: Path, task: ShardTask) -> Path:
    return folder / f"sites-{task.number:05d}.json"


def _collect(task: ShardTask, folder: Path) -> None:
    sites: dict[str, Site] = {}
    for name in task.files:
        for host, kind, text in warc.site_files(join(task.root, name)):
            if groups := PARSERS[kind](text):
                sites.setdefault(host, {})[kind] = groups
    files.write_json(_output(folder, task), sites)


@lru_cache(maxsize=1)
def _load(path: Path) -> Any:
    return read_json(path)


def sites_of(path: Path | None, source: str) -> Mapping[str, Site]:
    """By host, of one source."""
    found: Mapping[str, Site] = _load(path).get(source, {}) if path else {}
    return found
