"""Wikitext: templates with words, the namespaces of every wiki, variants of a language."""

import pytest

from altiplano.corpus.extraction.extract import extract
from altiplano.corpus.extraction.mediawiki.wikitext import text_of_wikitext
from altiplano.corpus.readers.formats import mediawiki_dump
from corpus.support import split


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{convert|1300|mi|km}}, {{cvt|5|-|10|km|mi}}, {{convert|5|by|6|m}}, {{convert|5|ft|10|in|cm}}",
         "1300 mi, 5–10 km, 5 by 6 m, 5 ft 10 in"),
        ("{{formatnum:6000}}, {{val|879.6|0.8|u=s}}, {{val|5|e=3}}, {{nts|12}}, {{unité|2000|m|2}}, {{Unidad|5|km}}",
         "6000, 879.6 ± 0.8 s, 5 × 10^3, 12, 2000 m^2, 5 km"),
        ("{{frac|1|2}}, {{frac|2}}, {{sfrac|3|1|2}}, 5{{e|6}}, 10{{sup|6}}, m<sup>2</sup>, 1<sup>er</sup>, H{{sub|2}}O",
         "1/2, 1/2, 3 1/2, 5 × 10^6, 10^6, m^2, 1er, H2O"),
        ("{{birth date|1950|1|2}}, {{Birth date and age|df=yes|1950|01|02}}, {{start date|2000|5}}, {{dts|2 May 2000}}",
         "January 2, 1950, 2 January 1950, May 2000, 2 May 2000"),
        ("{{date de naissance|1|janvier|1950}}, {{as of|2010|3}}, {{as of|2011|lc=y}}, {{circa|1911}}",
         "1 janvier 1950, As of March 2010, as of 2011, c. 1911"),
        ("{{lang|fr|château}}, {{lang-de|Haus}}, {{langue|en|house}}, {{transl|ru|dom}}, {{Lang-ru|дом|dom}}",
         "château, Haus, house, dom, дом"),
        ("({{IPAc-en|ˈ|ɔːr|tʃ|ər|d}}; {{IPA|ja|hok}}, {{IPA|/x/}}, {{IPA-fr|a}}) {{nihongo|North|北|kita}}",
         "(/ˈɔːrtʃərd/; hok, /x/, a) North (北, kita)"),
        ("{{nowrap|12 kg}} of {{chem|H|2|O}}, {{abbr|USA|United States}}, {{math|1=a = b}}, {{mvar|x}}, {{small|s}}",
         "12 kg of H2O, USA, a = b, x, s"),
        ("{{w|nuclear weapon|nuclear weapons}}, {{ill|Bee|de|Biene}}, {{ill|Bee|de|lt=bees}}, {{нп5|Дом|дома|en}}",
         "nuclear weapons, Bee, bees, дома"),
        ("{{hlist|a|b|c}}; {{nowrap|{{lang|fr|{{small|un [[mot|mots]]}}}}}}", "a, b, c; un mots"),
        ("2{{spaced ndash}}3{{ndash}}4, a {{=}} b{{!}}c, {{PAGENAME}}", "2 – 3–4, a = b|c,"),
        ("{{#if: x | yes | no }} {{#if: | yes | no }} {{#ifeq:a|a|same|other}} {{#switch:b|a=1|b=2|3}}",
         "yes no same 2"),
        ("{{lc:ABC}} {{{1|default}}} {{{x}}}{{subst:foo}}", "abc default"),
        ("It{{cite web|url=x|title=y}} is{{citation needed|date=May 2010}} so.{{sfn|Smith|2001|p=3}}", "It is so."),
        ("{{citation|last=Smith|title=Bees}}{{Citation|Je pense.}}", "Je pense."),
        ("'''Orchard''' ({{audio|x.ogg}}; {{unknown|a}}) grows ({{unknown}}, in Spain).", "Orchard grows (in Spain)."),
        ("简体-{zh-hans:字; zh-hant:學;}- -{R|原}- -{H|zh-hans:a;zh-hant:b}-。", "简体字 原 。"),
        ("{{enS|house}}, {{XIXe siècle}}, {{s|XX|e}}, {{siglo|XIX}}, {{color|red|words}}, {{val|1|–|2|u=kg}}",
         "house, XIXe siècle, XXe siècle, siglo XIX, words, 1–2 kg"),
        ("{{Template:Nowrap|x y}} {{lang|en|a=b}}", "x y"),
        ("{{lang|zh|-{zh-cn:汉;zh-tw:漢}-}}", "汉"),
    ],
)  # fmt: skip
def test_templates_with_words(source, text):
    assert text_of_wikitext(source) == text


def test_quotations_and_lists_are_lines():
    assert text_of_wikitext("He said {{quote|text=We fly.|author=A bee}} so.") == "He said\nWe fly.\n— A bee\n so."
    assert text_of_wikitext("{{Zitat|Wir fliegen.|Autor=Biene}}") == "Wir fliegen.\n— Biene"
    assert text_of_wikitext("A {{plainlist|\n* one\n* two\n}}b") == "A\n- one\n- two\nb"
    assert text_of_wikitext("x {{bulleted list|one|two}}") == "x\n- one\n- two"


def test_the_page_knows_its_title():
    assert text_of_wikitext("= Blue whale =\n'''{{PAGENAME}}''' swims.") == "# Blue whale\n\nBlue whale swims."


@pytest.mark.parametrize(
    "link",
    [
        "[[File:a.png|thumb|A [[nested]] caption]]", "[[Image:a.png]]", "[[Fil:a.jpg|mini|Bildtext]]",
        "[[Fájl:k.jpg|x]]",
        "[[Tập tin:a.jpg|x]]", "[[ملف:a.jpg|x]]", "[[파일:a.jpg|x]]", "[[Soubor:a.jpg|x]]", "[[Kategori:Hus]]",
        "[[Dosya:ev.jpg|x]]", "[[Датотека:a.jpg|x]]", "[[fr:Verger]]", "[[Category:Fruit|*]]",
    ],
)  # fmt: skip
def test_links_that_are_no_text_in_any_language(link):
    assert text_of_wikitext(f"a {link}b") == "a b"


def test_links():
    source = "[[Paris]]s, [[Paris|city]]s, [[:Category:Fruit]], [[#Section|there]], [[w:en:Bee|bee]], [[Help:Links|]]"
    assert text_of_wikitext(source) == "Pariss, citys, Category:Fruit, there, bee, Links"


def dump(pages: str, namespaces: str = "") -> str:
    return (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"><siteinfo><base>https://x.example/wiki/X</base>'
        f"<namespaces>{namespaces}</namespaces></siteinfo>{pages}</mediawiki>"
    )


def page(text: str) -> str:
    return f"<page><title>T</title><ns>0</ns><revision><text>{text}</text></revision></page>"


def test_a_dump_says_what_its_namespaces_are_called(tmp_path):
    names = '<namespace key="0" /><namespace key="6">Skrá X</namespace><namespace key="14">Flokkur (y)</namespace>'
    path = tmp_path / "a.xml"
    text = "[[skrá X:a.png|thumb|Caption]]The '''text'''. [[:Flokkur (y):Hus]] [[ Flokkur (y):Hus]]"
    path.write_text(dump(page(text) + page("#OMDIRIGERING [[Annan]]") + page("#TILVÍSUN: [[X]] {{R}}"), names))
    (raw,), bad = split(mediawiki_dump.read(path, "a.xml"))
    assert extract(raw) == "# T\n\nThe text. Flokkur (y):Hus"
    assert [b.reason for b in bad] == ["left out: redirect"] * 2


def test_lists_of_all_kinds():
    assert text_of_wikitext("* a\n*: b\n** c\n#* d\n; term : meaning\n: in") == (
        "- a\n  b\n  - c\n  - d\nterm : meaning\nin"
    )
