"""Character sets: labels by the WHATWG standard, what declares them, and guesses where nothing does."""

import unicodedata

import pytest
from growth import grows_faster_than_its_input

from altiplano.corpus.readers.charsets.charset_guess import guess
from altiplano.corpus.readers.charsets.decoding import decode, html_charset, inputenc, is_binary, xml_encoding
from altiplano.corpus.readers.charsets.whatwg import codec_of, decode_as
from altiplano.corpus.readers.formats import arxiv, jats_articles, text
from altiplano.corpus.readers.web_archives import warc
from corpus.readers.charset_texts import CHARSETS, TEXTS, WIDE
from corpus.readers.made_warc import response
from corpus.support import split, tar


@pytest.mark.parametrize(
    ("label", "data", "expected"),
    [
        ("iso-8859-1", b"\x93quoted\x94 \x96 10 \x80", "\u201cquoted\u201d \u2013 10 \u20ac"),
        ("ISO_8859-1:1987", b"\x85", "\u2026"),
        ("latin1", b"it\x92s", "it\u2019s"),
        ("ascii", b"\x97", "\u2014"),
        ("us-ascii", b"\x97", "\u2014"),
        (" Windows-1252 ", b"\x81\x8d", "\x81\x8d"),
        ("iso-8859-9", b"\x93\xfd\x94", "\u201cı\u201d"),
        ("gb2312", "\u9555 \u20ac".encode("gb18030"), "\u9555 \u20ac"),
        ("gb_2312-80", "朱镕基".encode("gbk"), "朱镕基"),
        ("gbk", b"\x80", "\u20ac"),
        ("euc-kr", "똠방각하".encode("cp949"), "똠방각하"),
        ("ks_c_5601-1987", "펲시콜라".encode("cp949"), "펲시콜라"),
        ("big5", "嘅".encode("big5hkscs"), "嘅"),
        ("big5", b"\xa3\xe1 \xc6\xde\xff", "\u20ac \u3003\ufffd"),
        ("shift_jis", "①㈱髙～".encode("cp932"), "①㈱髙～"),
        ("sjis", "①".encode("cp932"), "①"),
        ("x-sjis", "①".encode("cp932"), "①"),
        ("windows-31j", "Ⅳ".encode("cp932"), "Ⅳ"),
        ("euc-jp", b"\xad\xa1\xadj\xb0\xa1", "①\ufffdj亜"),
        ("euc-jp", b"\xa1\xc1\xa1\xdd", "～－"),
        ("tis-620", b"\xa1\x85\x93", "ก\u2026\u201c"),
        ("iso-8859-11", b"\xa1\x80", "ก\u20ac"),
        ("windows-1255", b"\xca\xe0", "\u05baא"),
        ("windows-1253", b"\xe1\xaa", "α\ufffd"),
        ("koi8-u", b"\xae\xbe", "ўЎ"),
        ("koi8-ru", b"\xc1", "а"),
        ("x-mac-cyrillic", b"\xe0", "а"),
        ("macintosh", b"\x8a", "ä"),
        ("iso-8859-8-i", b"\xe0", "א"),
        ("utf-16", "aé".encode("utf-16-le"), "aé"),
        ("iso-2022-jp", b"\x1b$B%3!<%R!<\x1b(B and \x1b(I1\x1b(B \x1b(J\\\x1b(B", "コーヒー and ｱ ¥"),
        ("iso-2022-jp", b"\x1b$B-!\x1b(B", "①"),
        ("hz-gb-2312", "咖啡".encode("hz"), "咖啡"),
        ("iso-2022-kr", "커피".encode("iso2022_kr"), "커피"),
        ("cp437", b"\x81", "ü"),
        ("x-user-defined", b"\x93", "\u201c"),
    ],
)
def test_labels_mean_what_the_standard_says(label, data, expected):
    assert decode_as(data, codec_of(label)) == expected


def test_labels_nobody_knows():
    for label in ("", "none", "utf-7", "unicode_escape", "idna", "rot13", "hex", "x-unknown", "\xe9", "cp999", "zip"):
        assert not codec_of(label), label


@pytest.mark.parametrize(
    ("head", "header", "expected"),
    [
        (b"", 'text/html; charset="GB2312"', "GB2312"),
        (b"<meta charset=koi8-r>", "text/html", "koi8-r"),
        (b"<META http-equiv='Content-Type' content='text/html; charset=euc-kr'>", "", "euc-kr"),
        (b"<!-- <meta charset=koi8-r> --><meta charset=big5>", "", "big5"),
        (b"<!-- <meta charset=koi8-r> -->", "", None),
        (b"<!--><meta charset=koi8-r>", "", "koi8-r"),
        (b"<!-- <meta charset=koi8-r>", "", None),
        (b"<script>'<meta charset=koi8-r>'</script>", "", None),
        (b"<title><meta charset=koi8-r></title>", "", None),
        (b"<meta name=description content='how charset=koi8-r came about'>", "", None),
        (b"<meta charset=utf-16>", "", "utf-8"),
        (b"<meta charset='x-sjis'>", "text/html; charset=shift_jis", "shift_jis"),
        (b"<?xml version='1.0' encoding='iso-8859-2'?><html>", "", "iso-8859-2"),
    ],
)
def test_what_declares_a_pages_charset(head, header, expected):
    assert html_charset(header, head) == expected


def test_pages_are_read_as_declared_unless_they_are_utf8(tmp_path):
    thai = TEXTS["th"].encode("cp874")
    pages = {
        "latin": (b"\x93Yes\x94", "iso-8859-1", "\u201cYes\u201d"),
        "utf8": ("“Yes”".encode(), "iso-8859-1", "“Yes”"),
        "cut": ("Žluťoučký kůň úpěl ďábelské ódy".encode() + b"\xc5", "iso-8859-1", "Žluťoučký kůň"),
        "mixed": (
            "On a déjà écrit ".encode() + "le même été à la forêt, près du café : 3 €".encode("cp1252"),
            "utf-8",
            "On a déjà écrit le même été à la forêt, près du café : 3 €",
        ),
        "wrong": (TEXTS["ja"].encode("cp932"), "utf-8", TEXTS["ja"]),
        "thai": (thai, "tis-620", TEXTS["th"]),
        "jis": (TEXTS["ja"].encode("iso2022_jp"), "iso-2022-jp", TEXTS["ja"]),
    }
    path = tmp_path / "a.warc"
    records = [response(name, b"<p>" + body, media=f"text/html; charset={s}") for name, (body, s, _) in pages.items()]
    path.write_bytes(b"".join(records))
    raw, _ = split(warc.read(path, "a"))
    assert len(raw) == len(pages)
    for document in raw:
        assert pages[document.url.rpartition("/")[2]][2] in document.text


def test_latex_declares_its_charset(tmp_path):
    body = "\\section{Él} Ça coûte 10 €, dit-on à Málaga.".encode("cp1252")
    for name, option in (("a", "latin1"), ("b", "ansinew"), ("c", "utf8,latin1")):
        data = b"\\documentclass{article}\n\\usepackage[%s]{inputenc}\n" % option.encode() + body
        assert inputenc(data)
        (tmp_path / f"{name}.tex").write_bytes(data)
        raw, bad = split(arxiv.read(tmp_path / f"{name}.tex", name))
        assert "Él} Ça coûte 10 €, dit-on à Málaga" in raw[0].text and not bad
    assert inputenc(b"% \\usepackage[latin1]{inputenc}\n") is None
    assert inputenc(b"\\inputencoding{koi8-r}") == "koi8-r"
    assert inputenc(b"% -*- coding: iso-8859-2 -*-\n") == "iso-8859-2"
    main = b"\\documentclass{article}\\usepackage[cp1251]{inputenc}\\begin{document}\\input{part}\\end{document}"
    part = "Глава".encode("cp1251")
    raw, bad = split(arxiv.read(tar(tmp_path / "a.tar.gz", {"main.tex": main, "part.tex": part}), "a"))
    assert "Глава" in raw[0].text and not bad


def test_xml_declares_its_charset(tmp_path):
    article = "<?xml version='1.0' encoding='ISO-8859-2'?><article><body><p>Żółw</p></body></article>"
    (tmp_path / "a.xml").write_bytes(article.encode("iso8859-2"))
    assert xml_encoding(article.encode("iso8859-2")) == "ISO-8859-2"
    raw, bad = split(jats_articles.read(tmp_path / "a.xml", "a"))
    assert "Żółw" in raw[0].text and "encoding" not in raw[0].text and not bad


@pytest.mark.parametrize("codec", WIDE)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("language", ["en", "ru", "ja", "th", "sv"])
def test_utf_16_and_32_with_and_without_a_mark(tmp_path, codec, mark, language):
    data = f"{mark}{TEXTS[language]}\nOne 2 three.\n".encode(codec)
    (tmp_path / "a.txt").write_bytes(data)
    raw, _ = split(text.read(tmp_path / "a.txt", "a"))
    assert raw[0].text.startswith(TEXTS[language])


def test_binary_is_not_utf_16():
    import random

    for seed in range(50):
        chosen = random.Random(seed)
        assert is_binary(bytes(chosen.choice((0, chosen.randrange(256))) for _ in range(500)))
    assert is_binary(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0>\0\x01\0\0\0" * 30)


def test_text_that_only_looks_like_another_set_stays_as_it_is():
    for sample in ("plain", "tilde ~{ and ~} stay", "\x1b[31mred\x1b[0m", "é" * 10):
        assert decode(sample.encode()) == (sample, "")


CASES = [(language, codec) for language, codecs in CHARSETS.items() for codec in codecs]


def encoded(language: str, codec: str) -> bytes:
    return unicodedata.normalize("NFC", TEXTS[language]).encode(codec, "ignore")


def accuracy(shorten: int) -> dict[str, list[str]]:
    """Language and charset, and as what it was read, for each that was not read right."""
    wrong = {}
    for language, codec in CASES:
        data = encoded(language, codec)[:shorten]
        expected, (found, how) = data.decode(codec, "ignore"), decode(data)
        if found.rstrip("\ufffd") != expected:
            wrong[f"{language} {codec}"] = how
    return wrong


def test_undeclared_bytes_are_guessed_by_their_language():
    wrong = accuracy(10_000)
    assert len(wrong) <= 0.05 * len(CASES), wrong
    wrong = accuracy(150)
    assert len(wrong) <= 0.15 * len(CASES), wrong


@pytest.mark.parametrize("language", ["de", "pl", "ja", "ru"])
def test_tags_and_scripts_do_not_count_in_a_guess(language):
    codec = {"de": "cp1252", "pl": "iso8859-2", "ja": "cp932", "ru": "cp1251"}[language]
    page = f"<html>{SCRIPT * 20}<body><p class='text'>{TEXTS[language]}</p>{SCRIPT}</body></html>".encode(codec)
    assert guess(page).codec == codec
    assert guess(f"<p title='{TEXTS[language]}'></p>".encode(codec)).codec == codec


def test_quotes_are_no_control_characters():
    for language in ("de", "fr", "es", "it"):
        words = f"\u201e{TEXTS[language]}\u201c \u2013 {TEXTS[language]}"
        assert guess(words.encode("cp1252")).codec == "cp1252"


@pytest.mark.parametrize(("unit", "end"), [(b"\xe4", b""), (bytes(range(256)), b""), (b"a", b"\xe4")])
def test_a_guess_takes_time_by_the_length_alone(unit, end):
    assert not grows_faster_than_its_input(guess, lambda length: unit * (length // len(unit)) + end, 2**21)


@pytest.mark.parametrize("label", ["iso-8859-1", "windows-1252", "us-ascii"])
@pytest.mark.parametrize(
    ("codec", "words"),
    [
        ("cp1251", "Сегодня утром мы вышли из дома и увидели, что за ночь выпал первый снег."),
        ("koi8-r", "Сегодня утром мы вышли из дома и увидели, что за ночь выпал первый снег."),
        ("iso8859-7", "Σήμερα το πρωί βγήκαμε από το σπίτι και είδαμε ότι τη νύχτα έπεσε το πρώτο χιόνι."),
        ("gb18030", "今天早上我们出门时发现夜里下了第一场雪。孩子们高兴地跑到院子里去了。"),
        ("euc_kr", "오늘 아침 집을 나서자 밤새 첫눈이 내린 것을 보았다. 아이들은 기뻐하며 뛰어나갔다."),
        ("cp874", "เช้านี้เราออกจากบ้านและเห็นว่าหิมะแรกตกลงมาในเวลากลางคืน"),
    ],
)
def test_latin_1_is_not_believed_of_other_scripts(label, codec, words):
    page = f"<html><body><p>{words}</p></body></html>".encode(codec)
    text, repair = decode(page, label)
    assert words in text and repair.startswith("not UTF-8, read as ")


EASTERN = {
    "pl": ("cp1250", "iso8859-2"), "cs": ("cp1250", "iso8859-2"), "hu": ("cp1250", "iso8859-2"), "tr": ("cp1254",),
    "sk": ("cp1250",), "ro": ("iso8859-2",), "lv": ("cp1257",), "lt": ("cp1257",),
    "ja": ("cp932", "euc_jp"), "ko": ("cp949",), "zh": ("gb18030",), "zh-tw": ("big5",),
}  # fmt: skip
SCRIPT = "<script>var x = 'this is no text'; if (a < b) { c(); }</script><style>p { color: red }</style>" * 20


@pytest.mark.parametrize("label", ["iso-8859-1", "windows-1252"])
@pytest.mark.parametrize(("language", "codec"), [(each, codec) for each in EASTERN for codec in EASTERN[each]])
def test_latin_1_is_not_believed_of_eastern_languages(label, language, codec):
    words = TEXTS[language].encode(codec, "ignore").decode(codec)
    page = f"<html><head>{SCRIPT}<title>Home</title></head><body><p class='text'>{words}</p></body></html>"
    text, repair = decode(page.encode(codec), label)
    assert words in text and repair.startswith("not UTF-8, read as ")


@pytest.mark.parametrize("language", ["sv", "da", "no", "fi", "is", "de", "fr", "es", "pt", "it", "nl", "en"])
def test_latin_1_is_believed_of_western_languages(language):
    page = f"<html><head>{SCRIPT}</head><body><p>{TEXTS[language]}</p></body></html>"
    for share in (1, 2, 4):
        part = page[: len(page) - len(TEXTS[language]) // share]
        assert decode(part.encode("cp1252"), "iso-8859-1") == (part, "")


def test_latin_1_is_believed_of_latin_letters():
    for words in (
        "« Été » à l’œuvre — déjà vu…",
        "¿Qué? ¡Año! ººº",
        "Þótt það sé ég",
        "ÀÉÈÙÇ ÄÖÜß ÆØÅ éèêëàâ",
        "•••••• ——————",
    ):
        assert decode(words.encode("cp1252"), "iso-8859-1") == (words, "")
