# ruff: noqa: E501
"""Personal data: what is found, what is left alone, and that removing it twice changes nothing."""

import importlib
import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.pii import national_checks, national_ids
from altiplano.corpus.pii.detect import find, hash_value, normalise, redact, salt_of
from altiplano.corpus.pii.rules import RULES
from corpus.pii.personal_data_evaluation import counts, items, rates
from corpus.support import SAMPLES

LABELLED = [  # language, text, what it contains
    ("en", "Contact me at john.doe@mail-corp.com or call +1 (415) 555-2671 today.", {"john.doe@mail-corp.com": "email", "+1 (415) 555-2671": "phone"}),
    ("en", "Server 93.184.216.34 replied; localhost is 127.0.0.1 and v1.2.3.4 is a version.", {"93.184.216.34": "ip"}),
    ("en", "The address 2001:0db8:85a3:0000:0000:8a2e:0370:7334 is documented.", {}),
    ("en", "Short form 2001:4860:4860::8888 works at 12:30:45 as well.", {"2001:4860:4860::8888": "ip"}),
    ("en", "Card 4111 1111 1111 1111 expires 12/27, order id 1234 5678 9012 3456.", {"4111 1111 1111 1111": "card"}),
    ("en", "Pay with 5555-5555-5555-4444 or 3782 822463 10005.", {"5555-5555-5555-4444": "card", "3782 822463 10005": "card"}),
    ("en", "SSN: 536-90-4399 on file; 000-12-3456 and 666-12-3456 cannot be.", {"536-90-4399": "national_id"}),
    ("de", "IBAN DE89 3704 0044 0532 0130 00 bitte.", {"DE89 3704 0044 0532 0130 00": "iban"}),
    ("de", "Falsch ist DE89 3704 0044 0532 0130 01, das prüft die Bank.", {}),
    ("en", "Transfer to GB29NWBK60161331926819 today.", {"GB29NWBK60161331926819": "iban"}),
    ("fr", "Compte FR14 2004 1010 0505 0001 3M02 606 au nom du club.", {"FR14 2004 1010 0505 0001 3M02 606": "iban"}),
    ("es", "Ingrese en ES91 2100 0418 4502 0005 1332 antes del lunes.", {"ES91 2100 0418 4502 0005 1332": "iban"}),
    ("it", "IBAN IT60X0542811101000000123456 intestato al circolo.", {"IT60X0542811101000000123456": "iban"}),
    ("de", "Rufen Sie uns an: 030 901820 oder +49 30 901820.", {"030 901820": "phone", "+49 30 901820": "phone"}),
    ("de", "Telefon 0221 / 22 12 13 14, Büro im ersten Stock.", {"0221 / 22 12 13 14": "phone"}),
    ("fr", "Appelez le 01 42 68 53 00 ou écrivez à marie@université.fr", {"01 42 68 53 00": "phone", "marie@université.fr": "email"}),
    ("es", "Llame al 912 345 678 por la mañana.", {"912 345 678": "phone"}),
    ("it", "Telefono: 06 6982 1234, chiedere di Anna.", {"06 6982 1234": "phone"}),
    ("ru", "Звоните: +7 495 123-45-67, спросить Ольгу.", {"+7 495 123-45-67": "phone"}),
    ("zh", "联系电话：010-62345678，邮箱 li.wei@yidong.cn。", {"010-62345678": "phone", "li.wei@yidong.cn": "email"}),
    ("ja", "電話 03-3581-0101 まで、または sato@kaisha.co.jp へ。", {"03-3581-0101": "phone", "sato@kaisha.co.jp": "email"}),
    ("pt", "Ligue para (11) 3061-5000 ou escreva a ana@casa.com.br", {"(11) 3061-5000": "phone", "ana@casa.com.br": "email"}),
    ("en", "Phone 415-555-2671 ext 3, fax 415.555.2672", {"415-555-2671": "phone", "415.555.2672": "phone"}),
    ("en", "mail: a.b+c@mail.co.uk, <x_y@z.org>; mailto:info@firma.de", {"a.b+c@mail.co.uk": "email", "x_y@z.org": "email", "info@firma.de": "email"}),
    ("en", "Reach the London office on 020 7946 0958 after ten.", {"020 7946 0958": "phone"}),
    ("code", 'aws_access_key_id = "AKIAIOSFODNN7EXAMPLQ"', {"AKIAIOSFODNN7EXAMPLQ": "secret"}),
    ("code", "token: ghp_16C7e42F292c6912E7710c838347Ae178B4a", {"ghp_16C7e42F292c6912E7710c838347Ae178B4a": "secret"}),
    ("code", 'password = "tr0ub4dor-3xx"', {"tr0ub4dor-3xx": "secret"}),
    ("code", 'db = "postgres://admin:Wq7rt9zz@db.internal/app"', {"Wq7rt9zz": "secret"}),
    ("code", 'HOST = "198.18.7.201"  # and the mail of sam@acme.io', {"sam@acme.io": "email"}),
    ("code", 'PEER = "93.184.216.34:8080"', {"93.184.216.34": "ip"}),
    ("code", "# Author: Jo Nesbitt <jo.nesbitt@posteo.net>", {"jo.nesbitt@posteo.net": "email"}),
    ("en", "the password = hunter2xyz!A9 is in the config", {"hunter2xyz!A9": "secret"}),
    ("en", "8.8.8.8:53 answered, the dns server 9.9.9.9 did not", {"8.8.8.8": "ip", "9.9.9.9": "ip"}),
    ("en", "Two of them: a@b.org,c@d.org", {"a@b.org": "email", "c@d.org": "email"}),
]  # fmt: skip

CLEAN = [
    ("en", "ISBN 978-3-16-148410-0 and DOI 10.1000/182, arXiv:1706.03762, pages 123-456."),
    ("en", "The 1984-1985 season had 12,345,678 visitors; pi is 3.14159265358979."),
    ("en", "commit 356a192b7913b04c54574d18c28d46e6395428ab at 2026-11-23T03:00:00"),
    ("en", "user (at) host dot com; @handle; git@github.com:org/repo.git"),
    ("en", "see section 4.2.1.3 and version 2.14.0.1, or HTML5 8.2.4.44"),
    ("en", "from foo import bar@2x.png"),
    ("en", "Date: Thu Apr 9 09:19:06 2009 -0700"),
    ("en", "tree 136 136 1178 and blob 100644 4096 2048"),
    ("en", "On 12.11.2024 at 10:15 the 2024-11-12 report had 1.234.567 lines."),
    ("en", "Population 1 400 000 000, area 9 596 961 square kilometres."),
    ("en", "localhost 127.0.0.1, router 192.168.1.1, private 10.1.2.3, all 0.0.0.0"),
    ("en", "The network 172.16.0.0/12 and 93.184.216.0/24 are ranges."),
    ("de", "Die Jahre 1914-1918 und 1939-1945; Seite 030-045; 3,5 kg; Artikelnummer 4006381333931."),
    ("fr", "Entre 1789 et 1815, page 12 34 56, il y eut 25 000 000 habitants."),
    ("es", "En 1492 y 1810-1825 hubo 12.345.678 habitantes."),
    ("ru", "В 1812 году было 600 000 солдат, страница 123-456."),
    ("zh", "公元1405年到1433年，共有27800人，船长44丈4尺。"),
    ("code", "x = [1111111111111111, 4539578763621486, 2147483647]"),
    ("code", "result = self.weight@self.value.transpose(0, 1)"),
    ("code", "@app.route('/users')\n@pytest.mark.parametrize('a', [1])"),
    ("code", "password = os.environ['DB_PASSWORD1']"),
    ("code", "password = get_secret1(name)"),
    ("code", "uint64_t mask = 0x4111111111111111; KQU(4517795492388641109)"),
    ("code", "redis://user:password@localhost:6379"),
    ("code", "#define VERSION 1.2.3.4\nassert '1.10.12.3' > VERSION"),
    ("code", "for (i = 0; i < 415; i++) a[i] = 555 - 2671;"),
    ("code", "ip_network('192.0.2.0/24'), '2001:db8::/32', std::vector<int>::iterator"),
    ("code", "Decimal('+35236450.6').quantize()"),
]


def test_there_are_enough_items():
    assert len(LABELLED) + len(CLEAN) >= 60 and len({language for language, *_ in LABELLED + CLEAN}) >= 8


@pytest.mark.parametrize(("language", "text", "wanted"), LABELLED)
def test_found(language, text, wanted):
    assert {text[s.start : s.end]: s.kind for s in find(text, language)} == wanted


@pytest.mark.parametrize(("language", "text"), CLEAN)
def test_left_alone(language, text):
    assert [text[s.start : s.end] for s in find(text, language)] == []


def test_keys_of_samples_name_what_is_found():
    for item in json.loads((SAMPLES / "key.json").read_text())["personal_data"]:
        language = "code" if item["url"].startswith("code/") else item["url"].split("/")[3]
        text = f"... {item['value']}."
        if item["kind"] == "secret":
            text = f'key="{item["value"]}"'
        assert [(s.kind, text[s.start : s.end]) for s in find(text, language)] == [(item["kind"], item["value"])]


@pytest.mark.parametrize("half", ["tune", "test", "second"])
def test_precision_and_recall_on_the_labelled_texts(half):
    chosen = [item for item in items() if item.half == half]
    by_kind = counts(chosen)
    for kind, count in by_kind.items():
        assert min(rates(count)) >= 0.85, f"{kind}: {count}"
    assert min(rates(sum(by_kind.values(), Counter()))) >= 0.93


def test_the_labelled_texts_are_many_and_diverse():
    every = items()
    assert len(every) >= 1200 and len({item.language for item in every}) > 75
    assert sum(not item.spans for item in every) >= 120
    kinds = Counter(kind for item in every for kind, _ in item.spans)
    assert set(kinds) == set(RULES) and min(count for kind, count in kinds.items() if kind != "mac") >= 20


ORACLES = {
    "norwegian": ("no.fodselsnummer", "###########"), "south_african": ("za.idnr", "#############"),
    "korean": ("kr.rrn", "######-#######"), "luhn": ("ca.sin", "#########"),
}  # fmt: skip


@pytest.mark.parametrize("name", ORACLES)
def test_checks_of_national_identifiers_against_stdnum(name):
    pytest.importorskip("stdnum")
    module, shape = ORACLES[name]
    oracle = importlib.import_module(f"stdnum.{module}")
    random = np.random.default_rng(0)
    accepted = 0
    for _ in range(60_000):
        digits = iter(random.integers(0, 10, 20).tolist())
        value = "".join(
            str(next(digits)) if c == "#" else random.choice(list("ABCDEFHJKLTZ")) if c == "?" else c for c in shape
        )
        if oracle.is_valid(value):  # what it calls valid must pass; it knows more rules (regions, birth dates to come)
            assert getattr(national_checks, name)(value), value
            accepted += 1
        if accepted >= 25:
            break
    assert accepted


KNOWN = """es 12345678Z, es X1234567L, fr 255081416802538, it RSSMRA85T10A562S, de 36574261809, pl 44051401359,
br 529.982.247-25, cn 11010519491231002X, cn 440308199901101512, in 234123412346, se 811228-9874, fi 131052-308T,
no 15108695088, dk 211062-5629, nl 111222333, be 85.07.30-033.28, ch 756.9217.0769.85, gb_health 943 476 5870,
tr 10000000146, kr 971013-9019902, jp 123456789018, ru 112-233-445 95, pt 123456789, mx HEGG560427MVZRRL04,
za 8001015009087, ro 1630615123457, cz 710319/2745"""


@pytest.mark.parametrize("example", [part.strip() for part in KNOWN.replace("\n", " ").split(",")])
def test_published_examples_of_national_identifiers(example):
    country, value = example.split(" ", 1)
    country = country.removesuffix("_health").upper()
    checks = [
        known
        for known in national_ids.IDENTIFIERS
        if known.country == country and known.valid is not national_checks.no_check
    ]

    def passes(number):
        return any(known.shape.fullmatch(number) and known.valid(number) for known in checks)

    assert passes(value)
    last = max(i for i, c in enumerate(value) if c.isdigit())
    wrong = value[:last] + str((int(value[last]) + 1) % 10) + value[last + 1 :]
    assert not passes(wrong)


FOUND_OR_LEFT = [  # language, text, kind and value; None: to be left alone
    ("en", "write ann@larch.org.Then call", ("email", "ann@larch.org")),
    ("en", "as.smith dot jr at larch dot co dot uk", ("email", "as.smith dot jr at larch dot co dot uk")),
    ("he", "ל-rui@amberdock.school", ("email", "rui@amberdock.school")),
    ("code", "ann@build01.larch.org:~$ ls", None),
    ("code", "y = W@self.data", None),
    ("code", "https://user@host.org/x", None),
    ("ar", "هاتف ٠١٠٦٤٥٢٣٨٧١", ("phone", "٠١٠٦٤٥٢٣٨٧١")),
    ("de", "Fono:(+56 2) 2707 7777", ("phone", "(+56 2) 2707 7777")),
    ("de", "• 06.11.23 - 14:00 von Lena", None),
    ("de", "Montag 08.30 - 12.00 Uhr", None),
    ("en", "call of duty 2007 sold 15 000 000 copies", None),
    ("fr", "Tel est pris 1 234 567 fois", None),
    ("pt", "CEP 01310-100", None),
    ("code", "DB_PASSWORD=hunter2Xy", ("secret", "hunter2Xy")),
    ("code", "password = os.environ['DB_PASSWORD1']", None),
    ("code", 'class="sk-fading-circle sk-circle10 sk-circle-wrapper"', None),
    ("en", "a passport, 250000 visas", None),
    ("en", "upgraded from 2.0.0.1 to 2.0.1.4", None),
    ("code", "src/home/components/App.tsx", None),
    ("code", "mkfs /home/ext4", None),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "wanted"), FOUND_OR_LEFT)
def test_found_or_left(language, text, wanted):
    assert [(s.kind, text[s.start : s.end]) for s in find(text, language)] == ([wanted] if wanted else [])


@pytest.mark.parametrize("known", national_ids.IDENTIFIERS, ids=lambda known: f"{known.country} {known.form[:20]}")
def test_checks_take_whatever_the_form_lets_through(known):
    """python-stdnum fails on some numbers with errors of its own."""
    random = np.random.default_rng(0)
    for _ in range(200):
        value = "".join(random.choice(list("0123456789ABCX.- ")) for _ in range(int(random.integers(6, 20))))
        for match in known.shape.finditer(value):
            known.valid(match.group(0))


def test_private_key_is_one_span():
    text = "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nabc\n-----END RSA PRIVATE KEY-----\nb"
    assert redact(text, "code")[0] == "a\n[SECRET]\nb"


def test_redaction():
    text, spans = redact("Write to ann@x.org or bob@y.org, not to [EMAIL].", "en")
    assert text == "Write to [EMAIL] or [EMAIL], not to [EMAIL]."
    assert [s.kind for s in spans] == ["email", "email"]


PIECES = st.sampled_from(
    [" ", ", ", "\n", "-", ".", "@", "+", "ip ", "tel. ", "0", "7", "415", "555-2671", "4111 1111 1111 1111", "a@b.org", "8.8.8.8",
     "93.184.216.34", "030 901820", "+49 30 901820", "DE89 3704 0044 0532 0130 00", "536-90-4399", "[EMAIL]", "[IP]", "[PHONE]",
     "password=", "hunter22xyz", '"', "https://u:pw12zz9@", "v", "2001:4860:4860::8888", ":", "/", "(", ")", "AKIAIOSFODNN7EXAMPLQ"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join), st.sampled_from(["en", "de", "fr", "code", "zh"]))
def test_redacting_twice_changes_nothing(text, language):
    once, spans = redact(text, language)
    assert redact(once, language) == (once, [])
    assert all(a.end <= b.start for a, b in pairwise(spans))


@given(st.text(max_size=200))
def test_any_text_can_be_redacted(text):
    redacted, spans = redact(text, "en")
    rest = [
        text[a:b] for a, b in pairwise([0, *(edge for span in spans for edge in (span.start, span.end)), len(text)])
    ]
    assert redacted == "".join(f"[{spans[at // 2].kind.upper()}]" if at % 2 else part for at, part in enumerate(rest))


def test_hashes_do_not_depend_on_spelling_and_do_on_salt():
    salt = salt_of(0)
    assert hash_value("phone", "+49 (30) 90-18", salt) == hash_value("phone", "493090 18", salt)
    assert hash_value("email", "A@B.org", salt) == hash_value("email", "a@b.org", salt)
    assert hash_value("email", "a@b.org", salt) != hash_value("email", "a@b.org", salt_of(1))
    assert hash_value("card", "4111", salt) != hash_value("phone", "4111", salt)
    assert normalise("ip", "2001:0DB8:0::1") == "2001:db8::1"
    assert normalise("iban", "de89 3704") == "DE893704"


@pytest.mark.parametrize("half", [0, 1])
def test_long_texts_hold_what_their_parts_hold(half):
    """Windows around digits and marks change nothing: every labelled text is found again amid much other text."""
    filler = "\nThe plain lies between two chains of mountains, and the wind counts the grass." * 9 + "\n\n"
    for language in ("en", "de", "fr", "code"):
        chosen = [item for item in items() if item.language == language][half::2]
        alone = Counter((kind, value) for item in chosen for kind, value in sorted(item.spans))
        text = filler.join(item.text for item in chosen)
        together = Counter((span.kind, text[span.start : span.end]) for span in find(text, language))
        assert (alone - together).total() + (together - alone).total() <= 3
