"""The whole way: web archives and texts to extraction, language and filters, MinHash, tokens.

Filters have the rules of ``filtering.py``; deduplication and tokens are those of ``dedup.py`` and ``tokens.py``. Web
pages are extracted in hybrid mode, as a large crawl would be.
"""

import json
from collections.abc import Callable
from pathlib import Path

from curation import dedup, extraction, filtering, tokens

TITLE = "the whole chain"
WAYS = {"altiplano": 6.0}
LIMIT = "parsing HTML, then n-grams"


def prepare(corpus: Path, folder: Path) -> Path:
    given = tokens.prepare(corpus, folder)
    web = extraction.prepare(corpus, folder)
    (given / "web").unlink(missing_ok=True)
    (given / "web").symlink_to(web)
    with (given / "prose.jsonl").open("w", encoding="utf-8") as lines:
        for name, text in filtering.texts(given / "texts.jsonl"):
            if ".warc" not in name:
                lines.write(json.dumps({"id": name, "text": text}) + "\n")
    return given


def load(way: str) -> Callable[[Path, Path], int]:
    from altiplano.corpus.extraction.html.main_text import MODES
    from altiplano.corpus.readers.raw import RawDocument
    from altiplano.corpus.readers.web_archives import warc
    from altiplano.tokens.shards import ShardWriter, token_dtype
    from altiplano.tokens.tokenizer import Tokenizer

    judge_texts = filtering.load(way)
    dedup.load(way)
    text_of_html = MODES["hybrid"]
    text_of_html("<html><body><p>warm</p></body></html>")

    def work(given: Path, output: Path) -> int:
        size = 0
        staged = given / "ours"
        staged.mkdir(exist_ok=True)
        texts: dict[str, str] = {}
        for path in sorted((given / "web").iterdir()):
            for page in warc.read(path, path.name):
                if isinstance(page, RawDocument):
                    size += page.size
                    texts[page.place] = text_of_html(page.text)
        for name, text in filtering.texts(given / "prose.jsonl"):
            size += len(text.encode())
            texts[name] = text
        with (staged / "texts.jsonl").open("w", encoding="utf-8") as lines:
            for name, text in texts.items():
                if text.strip():
                    lines.write(json.dumps({"id": name, "text": text}) + "\n")
        judge_texts(staged, staged / "kept")
        names = (staged / "kept").read_text(encoding="utf-8").split("\n")
        kept = [texts[names[row]] for row in dedup.kept_of([texts[name] for name in names])]
        writer = ShardWriter(output.with_suffix(""), token_dtype(tokens.VOCABULARY))
        tokens.encode(Tokenizer.load(given), writer, kept)
        shard = writer.close("train", "all", "en")
        output.write_text(json.dumps({"tokens": shard.tokens, "documents": shard.documents}))
        return size

    return work
