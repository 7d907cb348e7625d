"""Web archives that wget writes."""

import gzip
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from altiplano.corpus.readers.raw import RawDocument
from altiplano.corpus.readers.web_archives import warc
from corpus.readers.made_warc import chunked, page, warcio_payloads, words
from corpus.support import split


class Pages(BaseHTTPRequestHandler):
    """Eight linked pages, chunked and gzipped as large sites send them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/robots.txt":
            self.send_error(404)
            return
        links = b"".join(b'<a href="/%d">%d</a>' % (i, i) for i in range(8))
        number = int(self.path.strip("/") or 0)
        body = chunked(gzip.compress(page(number).replace(b"</body>", links + b"</body>")), 100)
        self.send_response(200)
        for name, value in (
            ("Content-Type", "text/html"),
            ("Content-Encoding", "gzip"),
            ("Transfer-Encoding", "chunked"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.skipif(shutil.which("wget") is None, reason="wget is not installed")
@pytest.mark.parametrize("compressed", [True, False], ids=["gz", "plain"])
def test_what_wget_writes(tmp_path, compressed):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        urls = [f"{address}/{i}" for i in range(8)]
        options = [
            "--compression=auto",
            "--no-verbose",
            "--warc-file=crawl",
            *([] if compressed else ["--no-warc-compression"]),
        ]
        subprocess.run(["wget", *options, *urls], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    finally:
        server.shutdown()
        server.server_close()
    path = tmp_path / ("crawl.warc.gz" if compressed else "crawl.warc")
    raw, bad = split(warc.read(path, path.name))
    assert [r.url for r in raw] == urls and not any(b.lost for b in bad)
    assert all(f"page {i} ".encode() + words(i) in r.text.encode() for i, r in enumerate(raw))
    theirs = warcio_payloads(path.read_bytes())
    assert {url.strip("<>"): data.decode() for url, data in theirs.items()} == {r.url: r.text for r in raw}
    assert isinstance(raw[0], RawDocument)
