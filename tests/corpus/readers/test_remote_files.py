"""Files that fsspec reaches."""

import functools
import gzip
import http.server
import threading

import fsspec
import pytest

from altiplano.corpus.readers.listing import inputs, plan
from altiplano.errors import InputError
from corpus.support import corpus, everything, tar, web_record


def test_files_behind_fsspec(tmp_path):
    system = fsspec.filesystem("memory")
    for i in range(3):
        system.pipe(f"/crawl/{i}.jsonl.gz", gzip.compress(b'{"text": "page %d"}\n' % i))
    system.pipe("/crawl/p.tar", gzip.decompress(tar(tmp_path / "p.tgz", {"a.txt": b"inside"}).read_bytes()))
    one = corpus(tmp_path / "nowhere", format="jsonl", path="memory://crawl/*.jsonl.gz")
    assert sorted(r.text for r in everything(one)[0]) == ["page 0", "page 1", "page 2"]
    before = inputs(one)
    assert [entry["path"] for entry in before["sources"]["s"]] == [f"memory:///crawl/{i}.jsonl.gz" for i in range(3)]
    assert inputs(one) == before
    system.pipe("/crawl/1.jsonl.gz", gzip.compress(b'{"text": "other 1"}\n'))
    assert inputs(one) != before
    assert everything(corpus(tmp_path, path="memory://crawl/p.tar"))[0][0].text == "inside"
    assert len(everything(corpus(tmp_path, format="jsonl", path="memory://crawl/0.jsonl.gz"))[0]) == 1
    with pytest.raises(InputError, match=r"'s': path 'memory://gone/\*' matches no file"):
        plan(corpus(tmp_path, path="memory://gone/*"))
    with pytest.raises(InputError, match="cannot be listed: Protocol not known"):
        plan(corpus(tmp_path, path="gopher://a.example/*"))


def test_files_behind_https(tmp_path):
    pytest.importorskip("aiohttp")
    served = tmp_path / "served"
    served.mkdir()
    (served / "a.warc.gz").write_bytes(web_record("https://a.example/", b"<p>one</p>"))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        one = corpus(tmp_path, format="warc", path=f"{address}/a.warc.gz")
        assert [r.text for r in everything(one)[0]] == ["<p>one</p>"]
        assert inputs(one)["sources"]["s"][0]["size"] == (served / "a.warc.gz").stat().st_size
        with pytest.raises(InputError, match="cannot be listed"):
            plan(corpus(tmp_path, format="warc", path=f"{address}/gone.warc.gz"))
    finally:
        server.shutdown()
        server.server_close()
