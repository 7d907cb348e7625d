"""Pages that publishers reserve, and blocklists."""

import itertools
import json
from collections import Counter

import pytest
from growth import grows_faster_than_its_input

from altiplano.corpus.curation import curate
from altiplano.corpus.readers import blocklist, opt_outs
from altiplano.corpus.readers.listing import inputs
from altiplano.corpus.readers.web_archives import warc
from altiplano.errors import InputError
from corpus.support import corpus, essays, everything, split, web_record


def test_pages_reserved_by_their_publishers_are_counted_with_the_reason(tmp_path):
    def page(name: str, head: bytes = b"", header: str = "text/html") -> bytes:
        return web_record(
            f"https://a.example/{name}", b"<html><head>" + head + b"</head><p>words</p></html>", kind=header
        )

    records = [
        page("free", b'<meta name="robots" content="index, noarchive, noimageai">'),
        page("meta", b'<meta content="noindex,NOAI" name=robots>'),
        page("tdm", b"<meta name='tdm-reservation' content='1'>"),
        page("tdm0", b"<meta name='tdm-reservation' content='0'>"),
        page("header", header="text/html\r\nX-Robots-Tag: otherbot: noai"),
        page("tdm-header", header="text/html\r\nTDM-Reservation: 1"),
        page("prose", b"<title>noai explained</title>"),
    ]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(records))
    raw, bad = split(warc.read(path, "a"))
    assert [r.url.rpartition("/")[2] for r in raw] == ["free", "tdm0", "prose"]
    assert Counter(b.reason for b in bad) == {
        "left out: reserved by its publisher (meta robots: noai)": 1,
        "left out: reserved by its publisher (meta tdm-reservation)": 1,
        "left out: reserved by its publisher (X-Robots-Tag: noai)": 1,
        "left out: reserved by its publisher (TDM-Reservation)": 1,
    }
    assert not any(b.lost for b in bad)


def test_blocklist_names_domains_and_paths(tmp_path):
    listed = "# spam\nbad.example\nhttps://www.News.example/paywall/\n\nxn--e1afmkfd.example # words\n"
    (tmp_path / "block.txt").write_text(listed)
    names = {
        "https://bad.example/": True, "http://www.bad.example/x?y": True, "https://deep.er.bad.example:8080/": True,
        "https://notbad.example/": False, "https://news.example/paywall/2024/a": True,
        "https://news.example/paywalled": False, "https://example/": False, "https://xn--e1afmkfd.example": True,
        "https://[broken/": False, "": False, "src/bad.example/file.c": False,
    }  # fmt: skip
    entries = blocklist.load(str(tmp_path), "block.txt")
    assert {url: blocklist.is_blocked(url, entries) for url in names} == names
    lines = "".join(json.dumps({"text": url, "url": url}) + "\n" for url in names if url)
    (tmp_path / "a.jsonl").write_text(lines)
    one = corpus(tmp_path, format="jsonl", path="a.jsonl", blocklist="block.txt", max_documents=4)
    raw, bad = everything(one)
    assert len(raw) == 4 and not any(names[r.url] for r in raw)
    assert {b.reason for b in bad} == {"left out: on the blocklist"}
    before = inputs(one)
    (tmp_path / "block.txt").write_text("other.example\n")
    assert inputs(one) != before
    with pytest.raises(InputError, match=r"corpus\.sources\.blocklist.*gone\.txt"):
        inputs(corpus(tmp_path, format="jsonl", path="a.jsonl", blocklist="gone.txt"))


def test_a_large_blocklist_loads_in_time_by_its_length_alone(tmp_path):
    names = map("{}.txt".format, itertools.count())

    def written(sites: int) -> str:
        name = next(names)  # what was loaded once is kept
        (tmp_path / name).write_text("".join(f"site{i}.example\n" for i in range(sites)))
        return name

    assert not grows_faster_than_its_input(lambda name: blocklist.load(str(tmp_path), name), written, 40_000)
    name = written(320_000)
    entries = blocklist.load(str(tmp_path), name)
    assert len(entries) == 320_000 and blocklist.load(str(tmp_path), name) is entries


ROBOTS = """
User-agent: *
Disallow: /private/
Allow: /private/open

User-agent: GPTBot
User-agent: CCBot # two crawlers
Disallow: /*.html$
Disallow: /essays/
Allow: /essays/free

User-agent: Googlebot
Disallow: /
"""


@pytest.mark.parametrize(
    ("path", "closed"),
    [
        ("/", False), ("/a.html", True), ("/a.html?x=1", False), ("/essays/one", True), ("/essays/free/one", False),
        ("/private/x", True), ("/private/open/x", False), ("/essay", False), ("/x/y/z.html", True),
    ],
)  # fmt: skip
def test_robots_txt_by_its_standard(path, closed):
    sites = {"a.example": {"robots.txt": opt_outs.robots_txt(ROBOTS)}}
    assert bool(opt_outs.closed_by(f"https://A.example{path}", sites)) == closed
    assert not opt_outs.closed_by(f"https://b.example{path}", sites)


def test_robots_txt_about_other_crawlers_closes_nothing():
    for rules in (
        "User-agent: Googlebot\nDisallow: /",
        "User-agent: *\nDisallow:",
        "<html>404</html>",
        "Disallow: /",
        "",
    ):
        sites = {"a.example": {"robots.txt": opt_outs.robots_txt(rules)}}
        assert not opt_outs.closed_by("https://a.example/x", sites), rules


def test_ai_txt_and_tdmrep():
    everything_closed = opt_outs.ai_txt("User-Agent: *\nDisallow: /\nDisallow: *.jpg\n")
    assert opt_outs.closed_by("https://a.example/x", {"a.example": {"ai.txt": everything_closed}}) == "ai.txt"
    assert not opt_outs.ai_txt("User-Agent: *\nDisallow: *.jpg\nAllow: *.txt\n")
    tdm = '[{"location": "/free/*", "tdm-reservation": 0}, {"location": "/*", "tdm-reservation": 1, "tdm-policy": "x"}]'
    sites = {"a.example": {"tdmrep.json": opt_outs.tdmrep_json(tdm)}}
    assert opt_outs.closed_by("https://a.example/x", sites) == "tdmrep.json"
    assert not opt_outs.closed_by("https://a.example/free/x", sites)
    for damaged in ("", "{", "[1]", '{"location": "/"}', "[" * 100_000):
        assert not opt_outs.tdmrep_json(damaged)


def test_sites_files_in_any_archive_of_the_source_count(tmp_path):
    def site(path: str, body: bytes, kind: str = "text/plain") -> bytes:
        return web_record(f"https://closed.example{path}", body, kind=kind)

    texts = iter(essays("en")[1:])
    pages = [
        web_record(
            f"https://{host}.example/{number}",
            f"<html><body><article><p>{next(texts)}</p></article></body></html>".encode(),
        )
        for host in ("open", "closed")
        for number in range(3)
    ]
    (tmp_path / "pages.warc.gz").write_bytes(b"".join(pages))
    (tmp_path / "robots.warc.gz").write_bytes(site("/robots.txt", b"User-agent: CCBot\nDisallow: /\n"))
    one = corpus(tmp_path, format="warc", path="*.warc.gz", robots=True)
    curate(one, 0, tmp_path / "run", workers=1)
    audit = json.loads((tmp_path / "run" / "audit.json").read_text())
    reasons = {bad["reason"]: bad["count"] for bad in audit["bad_records"]}
    assert reasons["left out: reserved by its publisher (robots.txt)"] == 3
    assert audit["raw"]["documents"] == 3
    (row,) = audit["balance"]
    assert row["unaccounted"] == 0 and row["documents"] > 0 and row["left_out"] > 0
    curate(corpus(tmp_path, format="warc", path="*.warc.gz"), 0, tmp_path / "again", workers=1)
    assert json.loads((tmp_path / "again" / "audit.json").read_text())["raw"]["documents"] == 6
