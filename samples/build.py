"""Builds what tools expect in other formats from the readable files: web archives from essays, glossary lines, the key.

    python samples/build.py

Everything is written for this repository. The same input gives the same bytes. ``key.json`` says what was planted:
duplicates, near duplicates, invented personal data, and pages that curation should drop.
"""

import gzip
import html
import json
import re
from pathlib import Path

HERE = Path(__file__).parent
DATE = "2026-01-01T00:00:00Z"

NAVIGATION = {
    "en": ("Home", "Essays", "Archive", "About us", "Accept all cookies", "Subscribe to our newsletter"),
    "de": ("Startseite", "Aufsätze", "Archiv", "Über uns", "Alle Cookies akzeptieren", "Newsletter abonnieren"),
    "fr": ("Accueil", "Essais", "Archives", "À propos", "Accepter tous les cookies", "S'abonner à la lettre"),
    "es": ("Inicio", "Ensayos", "Archivo", "Quiénes somos", "Aceptar todas las cookies", "Suscribirse al boletín"),
    "ru": ("Главная", "Очерки", "Архив", "О нас", "Принять все файлы", "Подписаться на рассылку"),
    "zh": ("首页", "随笔", "归档", "关于我们", "接受全部", "订阅通讯"),
}

# value and kind of what stands in the sentence; all of it is reserved for examples or invented
CONTACTS = {
    "en/the-stone-arch": (
        "Readers who know of an older arch may write to Martha Quill at martha.quill@archwatch.example "
        "or call +44 20 7946 0958.",
        [("email", "martha.quill@archwatch.example"), ("phone", "+44 20 7946 0958")],
    ),
    "en/salt": (
        "Orders of grey salt can be paid by card; the number 4111 1111 1111 1111 is accepted "
        "by our test till at 91.198.174.77.",
        [("card", "4111 1111 1111 1111"), ("ip", "91.198.174.77")],
    ),
    "de/warum-brucken-singen": (
        "Spenden für die Erhaltung der Brücke erbitten wir auf das Konto DE89 3704 0044 0532 0130 00, "
        "Rückfragen an +49 30 23125 123.",
        [("iban", "DE89 3704 0044 0532 0130 00"), ("phone", "+49 30 23125 123")],
    ),
    "fr/les-abeilles-de-la-ville": (
        "Pour visiter les ruches, écrivez à rucher@toits-fleuris.example "
        "ou versez votre obole sur FR14 2004 1010 0505 0001 3M02 606.",
        [("email", "rucher@toits-fleuris.example"), ("iban", "FR14 2004 1010 0505 0001 3M02 606")],
    ),
    "es/el-puente-colgante": (
        "Las visitas guiadas se reservan en puente@visitas-rio.example, sin compromiso y en tres idiomas.",
        [("email", "puente@visitas-rio.example")],
    ),
    "ru/shahmaty-i-pamjatj": (
        "Записаться в кружок можно по адресу klub@ladja.example до конца недели.",
        [("email", "klub@ladja.example")],
    ),
    "zh/6": ("想学造纸的朋友可以写信到 zhi@shanli.example，老人每周回信一次。", [("email", "zhi@shanli.example")]),
}

NEAR = {  # a page that is republished with a few words changed
    "en/how-bees-choose-a-home": [("about forty litres", "some forty litres"), ("remarkable", "surprising")],
    "de/das-gedachtnis-der-moore": [("sechs Metern", "fünf Metern"), ("mancherorts", "vielerorts")],
    "zh/2": [("祖父每天早晨", "爷爷每天清晨")],
}
EXACT = ("en/salt", "fr/le-metro-et-la-carte", "es/semillas-viajeras")

LATIN = "a b v g d e zh z i j k l m n o p r s t u f h c ch sh sch y j e ju ja e"
SPAM = "Best cheap watches buy now click here best price free shipping. "
REPEATED = "The site is under construction and will open again soon, thank you for your patience.\n"
SYMBOLS = "=== *** ### @@@ %%% ~~~ +++ ||| ::: ;;; ??? !!! <<< >>> $$$ ^^^ (((o))) [[[x]]] {{{_}}} -/-/-/-\n"


def texts(folder: str) -> dict[str, tuple[str, str, str]]:
    """``language/slug`` → language, title, text, from files with one text under each first-level heading."""
    found = {}
    for path in sorted((HERE / folder).glob("*.md")):
        for number, part in enumerate(re.split(r"^# ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]):
            title, body = part.split("\n", 1)
            found[f"{path.stem}/{slug(title) or number}"] = (path.stem, title.strip(), body.strip())
    return found


def slug(title: str) -> str:
    latin = LATIN.split()
    letters = dict(zip("абвгдежзийклмнопрстуфхцчшщыьэюяё", latin, strict=True))
    plain = dict(zip("äöüéèêíóáçñ", "aoueeeioacn", strict=True))
    text = "".join(letters.get(c, plain.get(c, c)) for c in title.lower()).replace("ß", "ss")
    return "-".join(re.findall(r"[a-z0-9]+", text))


def page(language: str, title: str, body: str) -> str:
    """A page as a small magazine would serve it: navigation, cookie notice, the text, more links, a footer."""
    words = NAVIGATION[language]
    links = "".join(f'<li><a href="/{i}">{html.escape(word)}</a></li>' for i, word in enumerate(words[:4]))
    text = "\n".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in body.split("\n\n"))
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<script>var consent = false;</script><style>nav {{ float: left }}</style></head>\n<body>\n"
        f'<div class="cookie-banner">{words[4]}</div>\n<nav><ul>{links}</ul></nav>\n'
        f"<main><article><h1>{html.escape(title)}</h1>\n{text}\n</article></main>\n"
        f'<aside class="sidebar"><p>{words[5]}</p></aside>\n<footer><ul>{links}</ul><p>© Altiplano</p></footer>\n'
        "</body></html>\n"
    )


def record(url: str, markup: str) -> bytes:
    body = markup.encode("utf-8")
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:samples:{url}>\r\n"
    head += f"WARC-Date: {DATE}\r\nWARC-Target-URI: {url}\r\n"
    head += f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    return gzip.compress(head.encode("utf-8") + http + b"\r\n\r\n", mtime=0)


def main() -> None:
    pages: list[tuple[str, str]] = []
    key: dict[str, list[dict[str, str]]] = {}
    for kind in ("exact_duplicates", "near_duplicates", "personal_data", "dropped"):
        key[kind] = []
    for name, (language, title, essay) in texts("essays").items():
        url = f"https://magazine.example/{name}"
        body = essay
        if name in CONTACTS:
            sentence, planted = CONTACTS[name]
            body += "\n\n" + sentence
            key["personal_data"] += [{"url": url, "kind": kind, "value": value} for kind, value in planted]
        pages.append((url, page(language, title, body)))
        if name in EXACT:
            copy = f"https://mirror.example/{name}"
            pages.append((copy, page(language, title, body)))
            key["exact_duplicates"].append({"url": url, "copy": copy})
        if name in NEAR:
            changed = body
            for old, new in NEAR[name]:
                assert old in changed, (name, old)
                changed = changed.replace(old, new)
            copy = f"https://reprint.example/{name}"
            pages.append((copy, page(language, title, changed)))
            key["near_duplicates"].append({"url": url, "copy": copy})
    junk = (
        ("spam", SPAM * 30),
        ("construction", "\n\n".join([REPEATED] * 20)),
        ("symbols", SYMBOLS * 20),
        ("empty", "Coming soon."),
    )
    for name, text in junk:
        url = f"https://junk.example/{name}"
        pages.append((url, page("en", "Notice", text)))
        key["dropped"].append({"url": url})
    missing = (set(CONTACTS) | set(NEAR) | set(EXACT)) - set(texts("essays"))
    assert not missing, missing
    key["personal_data"].append({"url": "code/deploy.sh", "kind": "secret", "value": "AKIAIOSFODNN7EXAMPLE"})
    key["personal_data"].append({"url": "code/deploy.sh", "kind": "email", "value": "webmaster@altiplano-site.example"})

    (HERE / "web").mkdir(exist_ok=True)
    half = len(pages) // 2
    for number, part in enumerate((pages[:half], pages[half:])):
        (HERE / "web" / f"magazine-{number}.warc.gz").write_bytes(b"".join(record(*item) for item in part))
    lines = [
        json.dumps({"id": name, "text": f"{term}. {text}"}, ensure_ascii=False)
        for name, (_, term, text) in texts("glossary").items()
    ]
    (HERE / "reference" / "glossary.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (HERE / "key.json").write_text(json.dumps(key, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
