"""The words that wikitext's templates stand for: numbers with units, dates, quotations, words of other languages.

A template is a program of its wiki, which a dump's page does not hold. Those that carry words inside sentences are few
and have the same arguments in all wikis, under the names of each language; they are written out here. All others
(infoboxes, navigation, citations, maintenance) vanish. Help: https://en.wikipedia.org/wiki/Help:Template
"""

import re
from collections.abc import Callable

BAR = "\ue002"
"""What ``{{!}}`` becomes: a bar that separates no arguments."""

LANGUAGE_CODE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z]+)?\Z")
ARGUMENT_NAME = re.compile(r"\s*+([^\s=|<>{}\[\]][^=|<>{}\[\]\n]{0,40}?)\s*+=")
LANGUAGE = re.compile(r"(?:[Ll]ang|IPA|ipa)-|[a-z]{2,3}S\Z")
"""``{{lang-de|…}}``, ``{{IPA-fr|…}}``, and ``{{enS|…}}`` in German."""

NAMES_ITSELF = re.compile(r"[IVXLC]{1,7}(?:er|re|e)(?: (?:siècle|millénaire)[^|]*)?\Z|1er [a-zéû]+\Z")
"""``{{XIXe siècle}}``, ``{{1er janvier}}`` in French."""

TEMPLATE = {
    "template",
    "vorlage",
    "modèle",
    "plantilla",
    "шаблон",
    "sjabloon",
    "predefinição",
    "mall",
    "szablon",
    "subst",
}
"""Names of the namespace: ``{{Template:Nowrap|…}}`` is ``{{nowrap|…}}``."""

PAGE_NAMES = ("pagename", "fullpagename", "basepagename", "subpagename")
NAME = re.compile(r"(?<!\{)\{\{(?!\{)\s*+([^\s{}|<>\[\]][^{}|\n<>\[\]]{0,100}+)")

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


class Arguments:
    """A template's arguments: ``[1]``, ``[2]``, …, and by name; the empty string for those that are not given."""

    def __init__(self, parts: list[str]):
        self.named: dict[str, str] = {}
        self.unnamed: list[str] = []
        for part in parts:
            if "=" in part and (match := ARGUMENT_NAME.match(part)):
                self.named[match[1]] = part[match.end() :].strip()
            else:
                self.unnamed.append(part.strip())

    def __getitem__(self, key: int | str) -> str:
        if isinstance(key, int):
            if found := self.named.get(str(key)):
                return found
            return self.unnamed[key - 1] if key <= len(self.unnamed) else ""
        return self.named.get(key, "")

    def first(self, *keys: int | str) -> str:
        """The first of them that is given."""
        return next(filter(None, (self[key] for key in keys)), "")

    def all(self) -> list[str]:
        """Without names, and ``1=``, ``2=``, …"""
        numbered = [self.named[str(i)] for i in range(1, 100) if str(i) in self.named] if self.named else []
        return [*filter(None, self.unnamed), *numbered]


def vanishing(source: str) -> list[str]:
    """Names of the templates in a page of which nothing is written out, once for each use."""
    return [name for match in NAME.finditer(source) if not _has_words(name := match[1].strip().replace("_", " "))]


def _has_words(name: str) -> bool:
    function, colon, first = name.partition(":")
    if colon and function.strip().lower() in PARSER_FUNCTIONS:
        return True
    if colon:
        name = first.strip() if function.strip().lower() in TEMPLATE else ""
    key = name.lower()
    known = key in CONSTANTS or key in PAGE_NAMES or key in RENDERED
    return known or bool(LANGUAGE.match(name) or NAMES_ITSELF.match(name))


def text_of_template(body: str, title: str = "") -> str:
    """``body`` stands between the braces, with what is nested in it written out. ``title`` is the page's."""
    name, bar, rest = body.partition("|")
    name = name.strip().replace("_", " ")
    if ":" in name:
        function, _, first = name.partition(":")
        function = function.strip().lower()
        if function in PARSER_FUNCTIONS:
            return PARSER_FUNCTIONS[function]([first, *rest.split("|")] if bar else [first])
        if function not in TEMPLATE:
            return ""
        name = first.strip()
    key = name.lower()
    if (constant := CONSTANTS.get(key)) is not None and not rest.strip("| "):
        return constant
    if key in PAGE_NAMES:
        return title
    render = RENDERED.get(key)
    if render is None and LANGUAGE.match(name):
        render = _pronounced if key.startswith("ipa") else _given
    if render is None and not bar and NAMES_ITSELF.match(name):
        return name
    return render(Arguments(rest.split("|") if bar else [])) if render else ""


# numbers and units

RANGE = {
    "-": "–", "–": "–", "to": " to ", "and": " and ", "or": " or ", "by": " by ", "x": " × ", "×": " × ",
    "to(-)": " to ", "+/-": " ± ", "±": " ± ", "&": " and ", "*": " × ", "+": " + ", ",": ", ",
    "and(-)": " and ", "xx": " × ",
}  # fmt: skip
NUMERIC = re.compile(r"[-+−]?[\d.,/ ⁄+]*\d[\d.,e]*\Z")


def _converted(a: Arguments) -> str:
    """``{{convert|5|km|mi}}``: 5 km; ``|5|-|10|km``: 5–10 km; ``|5|ft|10|in|cm``: 5 ft 10 in."""
    parts = [part for part in a.unnamed if part]
    if not parts:
        return ""
    text, at = parts[0], 1
    while at + 1 < len(parts) and parts[at].lower() in RANGE:
        text += RANGE[parts[at].lower()] + parts[at + 1]
        at += 2
    if at < len(parts):
        text += f" {parts[at]}"
        at += 1
        while at + 1 < len(parts) and NUMERIC.match(parts[at]) and not NUMERIC.match(parts[at + 1]):
            text += f" {parts[at]} {parts[at + 1]}"
            at += 2
    return text


def _measured(a: Arguments) -> str:
    """``{{unité|5|km|2}}``: 5 km^2, with pairs of a unit and its power."""
    text = a[1]
    for part in a.unnamed[1:]:
        text += f"^{part}" if re.fullmatch(r"[-−]?\d", part) else f" {part}" if part else ""
    if power := a.first("e", "exp"):
        text += f" × 10^{power}"
    return text


def _value(a: Arguments) -> str:
    """``{{val|879.6|0.8|e=3|u=s}}``: 879.6 ± 0.8 × 10^3 s."""
    text = a["p"] + a[1]
    if a[2] in RANGE and a[3]:
        text += RANGE[a[2]] + a[3]
    elif a[2]:
        text += f" (+{a[2].lstrip('+')} −{a[3].lstrip('-−')})" if a[3] else f" ± {a[2]}"
    if a["e"]:
        text += f" × 10^{a['e']}"
    unit = a.first("u", "ul", "upl")
    return f"{text}{a['s']} {unit}".rstrip()


def _fraction(a: Arguments) -> str:
    """``{{frac|2}}``: 1/2, ``{{frac|3|4}}``: 3/4, ``{{frac|1|3|4}}``: 1 3/4."""
    parts = a.all()
    if len(parts) == 1:
        return f"1/{parts[0]}"
    return f"{parts[0]} {parts[1]}/{parts[2]}" if len(parts) > 2 else "/".join(parts)


def _power_of_ten(a: Arguments) -> str:
    return f" × 10^{a[1]}" if a[1] else "e"  # without an argument it is French: 2e


def _money(sign: str) -> Callable[[Arguments], str]:
    return lambda a: f"{sign}{a[1]}"


# dates


def _day(a: Arguments) -> str:
    """``{{birth date|1950|1|2}}``: January 2, 1950, with ``df=y`` 2 January 1950. What is no number stays as it is."""
    parts = [part for part in a.all() if part][:3]
    month = parts[1] if len(parts) > 1 else ""
    if not parts or not parts[0].isdigit() or not (month.isdigit() and 1 <= int(month) <= len(MONTHS)):
        return " ".join(parts)
    if len(parts[0]) < 3 and len(parts) == 3:  # day first, in other wikis
        parts = parts[::-1]
    year, day = parts[0], parts[2] if len(parts) > 2 else ""
    name = MONTHS[int(parts[1]) - 1]
    if not day:
        return f"{name} {year}"
    return f"{day.lstrip('0')} {name} {year}" if a.first("df", "dmy") else f"{name} {day.lstrip('0')}, {year}"


def _written_day(a: Arguments) -> str:
    return " ".join(a.all()[:3])


def _as_of(a: Arguments) -> str:
    if a["alt"]:
        return a["alt"]
    return f"{'as of' if a['lc'] in ('y', 'yes') else 'As of'} {_day(a)}"


def _after(word: str) -> Callable[[Arguments], str]:
    return lambda a: f"{word} {'–'.join(a.all()[:2])}"


# words


def _given(a: Arguments) -> str:
    return a.first(1, "text", "content", "contenu")


def _second(a: Arguments) -> str:
    """``{{lang|fr|words}}``; alone, the first is words unless it is a language."""
    return a.first(2, "text", "texte") or ("" if LANGUAGE_CODE.match(a[1]) else a[1])


def _last(a: Arguments) -> str:
    return (a.all() or [a["text"]])[-1]


def _label(a: Arguments) -> str:
    """A link's text, or else its target."""
    return a.first("lt", "texte", "text", "label", "texto", 2, 1, "fr", "trad", "en", "de")


def _target(a: Arguments) -> str:
    return a.first("lt", "texte", "text", "display", 1, "fr", "trad", "en", "de")


def _quoted(a: Arguments) -> str:
    text = a.first(
        1, "text", "quote", "Text", "texte", "contenu", "contenido", "testo", "texto", "citaat", "citat", "текст"
    )
    by = a.first("author", "Autor", "auteur", "autor", "autore", "автор", "sign", 2)
    return f"\n{text}\n" + (f"— {by}\n" if by else "") if text else ""


def _said(a: Arguments) -> str:
    """``{{citation|…}}`` is a quotation in French; in English a reference, whose arguments have names."""
    return a[1]


def _pronounced(a: Arguments) -> str:
    parts = [part for part in a.unnamed if part]
    if len(parts) > 1 and LANGUAGE_CODE.match(parts[0]):
        return parts[1]
    return "".join(part for part in parts if part not in ("lang", "local", "audio", "also", "small"))


def _pronounced_in_slashes(a: Arguments) -> str:
    return f"/{_pronounced(a)}/"


def _japanese(a: Arguments) -> str:
    """``{{nihongo|word|kanji|transcription|meaning}}``"""
    inside = ", ".join(filter(None, (a[2], a[3], a.first(4, "extra"))))
    return f"{a[1]} ({inside})" if a[1] and inside else a[1] or inside


def _chinese(a: Arguments) -> str:
    return "; ".join(a.first(key) for key in ("c", "s", "t", "p", "l") if a[key]) or _given(a)


def _joined(separator: str) -> Callable[[Arguments], str]:
    return lambda a: separator.join(a.all())


def _listed(a: Arguments) -> str:
    return "".join(f"\n* {part}" for part in a.all()) + "\n"


def _lines(a: Arguments) -> str:
    return f"\n{_given(a)}\n"


def _raised(a: Arguments) -> str:
    return f"^{a[1]}"


def _ship(a: Arguments) -> str:
    return " ".join(a.unnamed[:2]) + (f" ({a[3]})" if a[3] else "")


def _named_ship(prefix: str) -> Callable[[Arguments], str]:
    return lambda a: f"{prefix} {a[1]}" + (f" ({a[2]})" if a[2] else "")


def _century(a: Arguments) -> str:
    """``{{s|XIX|e}}``; in Russian the same name keeps words on one line."""
    return f"{a[1]}e siècle" if a[1].strip("IVX") == "" else a[1]


def _literally(a: Arguments) -> str:
    return f"lit. '{a[1]}'"


def _enclosed(left: str, right: str) -> Callable[[Arguments], str]:
    return lambda a: f"{left}{a[1]}{right}"


RENDERED: dict[str, Callable[[Arguments], str]] = {
    name: render
    for render, names in (
        (_converted, "convert|cvt|converter|conv|convertir|converti|umrechnen|omrekenen|переводчик величин"),
        (
            _measured,
            "currency|unité|unite|unidad|unit|unità|m|nombre|nombre romain|num|nb|число|formatnum|fmtn|"
            "número",
        ),
        (_value, "val|valore|värde"),
        (_given, "nts|number|formatnumber|zahl|getal|numero|tal"),
        (_fraction, "frac|sfrac|fraction|bruch|fracción|frazione|breuk|дробь|tfrac|fração"),
        (_power_of_ten, "e|10^|10e|exp10"),
        (
            _day,
            "birth date|birth date and age|death date|death date and age|start date|end date|"
            "start date and age|film date|dts|dob|bda|birth year and age|start-date|end-date|birth-date|"
            "death-date|birth-date and age|release date|opening date|date|date table sorting|launch date|"
            "dtlink",
        ),
        (
            _written_day,
            "date de naissance|date de décès|naissance|décès|fecha|fecha de nacimiento|fecha de inicio|data|"
            "datum|дата|дата рождения|data de nascimento|dni|morte|geburtsdatum|date sport",
        ),
        (_as_of, "as of|asof|as-of"),
        (_after("c."), "circa|c.|ca.|ca|vers"),
        (_after("fl."), "floruit|fl.|fl"),
        (_after("r."), "reign|r."),
        (
            _quoted,
            "quote|blockquote|cquote|quotation|quote box|rquote|bquote|centered pull quote|pull quote|"
            "poemquote|poem quote|citation bloc|zitat|zitat-en|zitat-fr|zitat-la|cita|cita2|citazione|citaat|"
            "citação|citação2|quadro de citação|цитата|citat|引用|quote2|kotowane|cytat|verse translation|"
            "cita destacada|celebre citazione",
        ),
        (_said, "citation|« »|citation étrangère"),
        (
            _second,
            "lang|langue|langr|lang2|язык|resize|font size|transl|transliteration|translit|unicode|lingua|"
            "taal|idioma|style",
        ),
        (
            _given,
            "nowrap|nobr|nobreak|no wrap|nowr|nw|small|smaller|big|bigger|large|larger|petit|abbr|"
            "abréviation|abbr.|abbrlink|tooltip|ttip|hover title|mvar|math|var|mono|code|codes|tt|kbd|samp|"
            "em|strong|bold|italic|smallcaps|smallcap|sc|small caps|smcp|aut|petites capitales|kapitälchen|"
            "versalitas|underline|u|not a typo|notatypo|as written|sic|typo|vanchor|visible anchor|linktext|"
            "link text|keypress|key|unicode|script|polytonic|grec|gr|grc|hebrew|he|arabisch|arab|ar|hebr|rtl|"
            "rtl-lang|asiantitle|chem2|ce|sub|ind|indice|subst|nihongo2|nihongo krt|jp|kr|kor|vie|chú|"
            "script/hebrew|script/arabic|esd|inglese|francese|tedesco|latino|center|centre|right|left|indent|"
            "block indent|noitalic|nobold|normal|text|plain text|rod|strike|s.|tq|talkquote|flag|flagcountry|"
            "flagu|flag country|country|pays|drapeau2|flaglink|bandera2|fontsize|larger text|zeitung|bdo|"
            "cslist|interp|bracket|char|unichar|overline|overarc|abs|radic|bigmath|intmath|mathcal",
        ),
        (
            _lines,
            "plainlist|plain list|flatlist|columns-list|cols|colonnes|columnas|poem|verse|gedicht|poème|"
            "поэма",
        ),
        (_last, "w|wl|нп|link|color|colour|font color|font|farbe|colored|kolor|цвет|bg|texte coloré|couleur"),
        (
            _label,
            "нп1|нп2|нп3|нп4|нп5|не переведено|не переведено 2|не переведено 3|не переведено 5|iw|iw2|wp|"
            "wikipedia link",
        ),
        (
            _target,
            "ill|interlanguage link|link-interwiki|lien|llink|ll|ilm|ill2|interwiki link|illm|tlien|red link|"
            "enlace interlenguaje|ilw|internal link|link interlanguage",
        ),
        (_pronounced, "ipa|api|afi|ipa link|ipalink|lautschrift|мфа|ipablink|phon|phonetic"),
        (_pronounced_in_slashes, "ipac-en|ipa-en|iparp|ipac"),
        (_enclosed("⟨", "⟩"), "angbr|angle bracket|angbr ipa|grapheme"),
                (_enclosed('"', '"'), "qq|quotes|\" \""),
        (_enclosed("«", "»"), "guillemets"),
        (_japanese, "nihongo|nihongo3|nihongo foot|nihongo core|japonais|japanese"),
        (_chinese, "zh|zh-cn|chinese|zh-full|lang-zh"),
        (_joined(""), "chem|ch|gaps|su|fchim|fórmula química"),
        (
            _joined(", "),
            "hlist|ubl|unbulleted list|ublist|flat list|liste|liste horizontale|comma separated entries|"
            "inline list|br separated entries|brse|br list|unbulleted",
        ),
        (_joined("+"), "key press|touches|taste|key press plus"),
        (_listed, "bulleted list|bullet list|blist|ulist|ordered list|olist|liste à puces|lista|unordered list"),
        (_raised, "sup|exp|exposant|superscript|hochgestellt|super"),
        (_ship, "ship"),
        (_named_ship("USS"), "uss"),
        (_named_ship("HMS"), "hms"),
        (_named_ship("SS"), "ss"),
        (_century, "siècle|s|s-|sp"),
        (_after("siglo"), "siglo"),
        (_after("século"), "séc|século"),
        (_enclosed("", " m"), "höhe"),
        (_enclosed("$", "$"), "tmath"),
        (_enclosed("‘", "’"), "gloss"),
        (_joined("-"), "respell"),
        (_literally, "lit|literal translation|lit.|literal"),
        (_money("US$"), "us$|usd|us dollar"),
        (_money("$"), "$|aud|cad|nzd"),
        (_money("£"), "£|gbp|pound sterling"),
        (_money("€"), "€|eur|euro"),
        (_money("¥"), "¥|jpy|cny|yen"),
        (_money("₹"), "₹|inr|indian rupee|indian rupees"),
    )
    for name in names.split("|")
}  # fmt: skip

CONSTANTS = {
    "!": BAR, "=": "=", "(": "{", ")": "}", "((": "{{", "))": "}}", "'": "'", "pipe": BAR, "ndash": "–",
    "en dash": "–", "snd": " – ", "spnd": " – ", "spaced ndash": " – ", "spaced en dash": " – ", "dash": " – ",
    "mdash": "—", "em dash": "—", "spaced mdash": " — ", "emdash": "—", "endash": "–", "--": "—", "nbsp": " ",
    "space": " ", "thinsp": " ", "thin space": " ", "hair space": " ", "hsp": " ", "spaces": " ", "·": " · ",
    "•": " • ", "dot": " · ", "middot": " · ", "bull": " • ", "\\": " / ", "pi": "π", "er": "er", "ère": "ère",
    "re": "re", "e": "e", "ème": "e", "1er": "1er", "1re": "1re", "ier": "Ier", "okina": "ʻ", "hamza": "ʼ",
    "ayin": "ʽ", "minus": "−", "times": "×", "plusmn": "±", "frac12": "½", "half": "½", "degree": "°",
    "°": "°", "clear": "", "yes": "Yes", "no": "No", "ja": "Ja", "nein": "Nein", "oui": "Oui", "non": "Non",
    "yes2": "Yes", "no2": "No", "¿": "", "av. j.-c.": "av. J.-C.", "av jc": "av. J.-C.",
    "apr. j.-c.": "apr. J.-C.", "n. chr.": "n. Chr.", "v. chr.": "v. Chr.", "°c": "°C", "°f": "°F",
    "euro": "€", "h": "h", "s.": "s.", "n°": "no ", "numéro": "no ", "ie": "i.e.", "eg": "e.g.",
}  # fmt: skip


# parser functions, taken simply: a condition that is not empty is true


def _if(parts: list[str]) -> str:
    condition, then, otherwise = (*parts, "", "")[:3]
    return (then if condition.strip() else otherwise).strip()


def _if_equal(parts: list[str]) -> str:
    left, right, then, otherwise = (*parts, "", "", "")[:4]
    return (then if left.strip() == right.strip() else otherwise).strip()


def _switch(parts: list[str]) -> str:
    value, found, default = parts[0].strip(), False, ""
    for part in parts[1:]:
        case, equals, result = part.partition("=")
        found = found or case.strip() == value
        if equals and found:
            return result.strip()
        if equals and case.strip() == "#default":
            default = result
        elif not equals:
            default = part
    return default.strip()


def _first(parts: list[str]) -> str:
    return parts[0].strip()


PARSER_FUNCTIONS: dict[str, Callable[[list[str]], str]] = {
    "#if": _if, "#ifeq": _if_equal, "#switch": _switch, "#ifexist": lambda parts: _if(["1", *parts[1:]]),
    "#iferror": lambda parts: (*parts, "")[2] if len(parts) > 2 else parts[0], "#language": _first,
    "#ifexpr": lambda parts: _if(["1", *parts[1:]]), "#formatdate": _first, "#dateformat": _first,
    "formatnum": _first, "lc": lambda parts: parts[0].strip().lower(), "uc": lambda parts: parts[0].strip().upper(),
    "lcfirst": lambda parts: parts[0].strip()[:1].lower() + parts[0].strip()[1:],
    "ucfirst": lambda parts: parts[0].strip()[:1].upper() + parts[0].strip()[1:],
    "nowrap": _first, "plural": lambda parts: parts[-1].strip(), "anchorencode": _first, "urlencode": _first,
}  # fmt: skip
