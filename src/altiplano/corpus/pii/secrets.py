"""Secrets: keys that issuers' forms give away, private keys, logins in URLs and commands, and what is assigned to a
name such as ``password``. Placeholders, references to a store of secrets and words are left.
"""

import re
from collections.abc import Iterator
from math import log2

from altiplano.corpus.pii.issuers import KEY, LONG
from altiplano.corpus.pii.windows import long_words, lowered, mark_windows, places_of

PRIVATE = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?!-----BEGIN)[\s\S]){1,8000}?-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
)
LOGIN = re.compile(
    r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,20}://[^\s:/@\0\"'<>]{0,60}:(?P<password>[^\s:/@\0\[\]<>{}$*\"']{4,80})(?=@[\w.\[-])"
)
HEADER = re.compile(
    r"(?i:authorization|x-[a-z-]{0,30}(?:key|token)|private-token|auth|bearer)[\"']?\s?[:=,]?\s?[\"']?"
    r"(?i:bearer|basic|token|apikey)\s(?P<value>[A-Za-z0-9._~+/=-]{12,2000})"
)
COMMAND = re.compile(
    r"(?:\s-u|--user|--proxy-user)[ =]?[\"']?[\w.@-]{1,60}:(?P<value>[^\s\"':$<>{}\0]{4,80})"
    r"|(?:\bsshpass -p|\bmysql [^\n]{0,60}?-p|--pass(?:word|wd|phrase)[ =]|\s-pw |\bredis-cli [^\n]{0,60}?-a|"
    r"\brequirepass|\blogin \S{1,60} password"
    r"|\bset_?[Pp]assword\(|\bidentified by|\bIDENTIFIED BY|"
    r"\bPASSWORD)[ ]?[\"']?(?P<other>[^\s\"'$<>{}()\0]{5,80})(?![(\w])"
)
NAMED = (
    r"pass(?:word|wd|wort|phrase|code)?s?|pwd|psk|passe|psw|pass_?key|mot de passe|mdp|"
    r"kennwort|contraseñ?na?|contraseña|clave|senha|palavra-passe|wachtwoord(?:en)?|lösenord(?:et)?|passord(?:et)?|"
    r"adgangskoden?|kodeord(?:et)?|salasana(?:ni|si)?|parool|parole|"
    r"slaptažodis|hasło|haslo|heslo|jelsz[óo](?:m|d)?|lozinka|geslo|parol[aă]|[şs]ifre(?:m|niz|si)?|парол[ья]|"
    r"паролата|парола|лозинка|пароля|"
    r"κωδικός|סיסמה|סיסמא|كلمة المرور|كلمة السر|رمز عبور|पासवर्ड|পাসওয়ার্ড|รหัสผ่าน|mật khẩu|kata sandi|kata laluan|"
    r"nenosiri|"
    r"密码|密碼|口令|パスワード|비밀번호|암호|"
    r"secret(?:s|[ _-]?key(?:[_-]?base)?|[ _-]?access[ _-]?key|[_-]?token|[_-]?id)?|"
    r"(?:api|app|access|account|master|encryption|private|auth|license|signing)[ _-]?(?:key|secret|token)|"
    r"credentials?|token"
)
START = (
    r"(?<![^\W_])|(?<=[a-z])(?=[A-Z])|(?<=[a-z])(?=(?:password|passwd|apikey)\b)|"
    r"(?=[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])"
)
ASSIGNED = re.compile(
    rf"(?:{START})(?P<name>(?i:{NAMED}))(?:[_-]?\d)?(?:(?<=[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])|"
    rf"(?![^\W_]))"
    r"(?P<link>[\"']?\]?[ \t]{0,12}(?:[=:]|:=|=>|\?=|,|(?:is|was|ist|war|lautet|est|es|è|é|era|är|er|on|to|jest|je|"
    r"este|là|είναι|adalah|ni|是|は|는|은)(?=[ :\"'`])|是|は|는|은)[ \t]{0,8}[:=]?[ \t]{0,2})"
    r"(?:(?i:b|r|u|"
    r"f)(?=[\"']))?(?P<quote>\\?[\"'`“«「]?)(?P<value>[^\s'\"`“”«»「」;,()<>{}$\0\[\]，。；、）\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af][^\s'\"`“”«»「」;,()<>{}\0\[\]，。；、）\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{3,199})"
)
NAME_MARKS = (
    "pass", "pwd", "psk", "psw", "mot de", "mdp", "kennw", "contras", "clave", "senha", "palavra", "wachtw", "lösen",
    "adgangs", "kodeord",
    "salas", "parol", "paroo", "slapta", "hasło", "haslo", "heslo", "jelsz", "lozinka", "geslo", "şifre", "sifre",
    "mật khẩu", "kata ",
    "nenosiri", "secret", "api", "app_", "app-", "access", "account_", "accountkey", "master", "encryption",
    "private", "auth", "license",
    "signing", "credential", "token", "парол", "лозинк", "κωδικός", "סיסמ", "كلمة", "رمز عبور", "पासवर्ड",
    "পাসওয়ার্ড", "รหัสผ่าน", "パスワード", "비밀번호",
)  # fmt: skip
"""Beginnings of all names, in small letters."""

SHORT_MARKS = ("密码", "密碼", "口令", "암호")
XML = re.compile(
    r"<(?P<tag>[\w.:-]{0,40}(?:[Pp]assword|[Ss]ecret|[Aa]pi[Kk]ey|[Tt]oken|pwd))>(?P<value>[^\s<>{}$\0]{6,120})</"
    r"|(?:name|key)=\"[\w.:-]{0,40}(?:[Pp]assword|[Ss]ecret|[Aa]pi[Kk]ey|"
    r"[Tt]oken)\"\s{1,4}value=\"(?P<other>[^\s\"<>{}$\0]{6,120})\""
)
XML_MARKS = (
    "password>",
    "secret>",
    "api_key>",
    "apikey>",
    "token>",
    "pwd>",
    'password" value',
    'secret" value',
    'token" value',
)
HEADER_MARKS = ("authorization", "x-api", "private-token", "bearer ", "-auth-")
COMMAND_MARKS = (
    " -u",
    "--user",
    "--proxy-user",
    "--password",
    "--passwd",
    "--passphrase",
    "sshpass",
    "mysql ",
    "-pw ",
    "redis-cli",
    "requirepass",
    " password ",
    "password(",
    "identified by",
)
PLACEHOLDER = re.compile(
    r"example|change[_-]?(?:me|it|this)|placeholder|your|my[_-]?(?:pass|secret|token|key|api)|xx{3,}|\*{3,}|\.{3}|…|"
    r"0{6,}|insert|replace|redacted|dummy|"
    r"todo|fixme|sample|masked|hidden|enter|<|>|\{\{|\$\{|\$\(|%\(|not[_-]?set|^(?:none|null|nil|true|false|"
    r"undefined|required|optional|string|str|text|int|"
    r"bool|any|self|this|env|os|process|config|settings|secrets?|vault|var|data|args?|options?|params?|request|req|"
    r"user|ctx|event|props|state|"
    r"get\w*|read\w*|load\w*|fetch\w*|import\w*|create\w*|generate\w*|input|prompt|getenv|lambda|function|new|await|"
    r"return|const|let)\b|"
    r"(?:secret|password|passwd|token|key|pass)[_-]?(?:here|value|string|goes)|^[a-z_]+\.[a-z_]+\d?$|"
    r"^[A-Za-z_]\w*(?:\.\w+)+$|^-{2,}|^/[\w/.-]+$|^\w+://|"
    r"^(?:s3cr3t|secret|password|passwd|passw0rd|pass|token|foo|bar|baz|test|testing|abc|admin|root|guest|qwerty|"
    r"letmein|demo)[\d!]{0,4}$|"
    r"^(?:sha\d+|md5|rsa|hmac|aes|base64|utf-?8)\b|^v?\d+(?:\.\d+)+$|^\d{1,2}:\d\d|^\W+$",
    re.IGNORECASE,
)
DOCUMENTED = re.compile(
    r"(?:pass|pw|secret|user|name|token|key|your|my|x-oauth|foo|bar|test|changeme|example|\W)|x{3,}$", re.IGNORECASE
)
"""What documentation writes in a URL in place of a password: words by which it begins."""

ENVIRONMENT = re.compile(r"(?:^|\n)[ \t]*(?:-[ ]|export |set |ENV |setx |ARG )?[ \t]*[\"']?[A-Za-z][\w.-]{0,80}$")
"""Before the value of a file of settings stands its name, at the beginning of a line."""

ENTITY = re.compile(r"&(?:amp|quot|lt|gt|#\d+);")


def secrets(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Where secrets stand in the text."""
    yield from _keys(text)
    yield from _logins(text)
    for match in _assignments(text):
        if place := _assigned(text, match, language):
            yield place
    for pattern, marks in ((XML, XML_MARKS), (HEADER, HEADER_MARKS), (COMMAND, COMMAND_MARKS)):
        for low, high in mark_windows(lowered(text), marks, 60, 2100 if pattern is HEADER else 220):
            for match in pattern.finditer(text, low, high):
                group = "value" if match.group("value") else "other"
                if is_secret(match.group(group)):
                    yield match.span(group)


def _keys(text: str) -> Iterator[tuple[int, int]]:
    if "PRIVATE KEY" in text:
        yield from (match.span() for match in PRIVATE.finditer(text))
    for low, high in long_words(text, LONG, ("hf_", "npm_")):
        for match in KEY.finditer(text, low, high):
            if is_key(match.group(0), text[max(0, match.start() - 24) : match.start()]):
                yield match.span()


def _logins(text: str) -> Iterator[tuple[int, int]]:
    if "@" in text:
        for low, high in mark_windows(text, ("://",), 24, 220):
            for match in LOGIN.finditer(text, low, high):
                if not DOCUMENTED.match(match.group("password")):
                    yield match.span("password")


def _assignments(text: str) -> Iterator[re.Match[str]]:
    places = places_of(lowered(text), NAME_MARKS)
    if not text.isascii():
        places += [match.start() for mark in SHORT_MARKS if mark in text for match in re.finditer(mark, text)]
    yield from filter(None, (ASSIGNED.match(text, at) for at in places))


def is_key(value: str, before: str) -> bool:
    """Of an issuer's form, and as random as a key is; not a placeholder."""
    if re.search(r"(?i:x{6,}|\*{3}|0{12,}|placeholder|your[-_]|1234567890abcdef1234)", value) or len(set(value)) < 8:
        return False
    if value.startswith(("sk-", "pypi-", "t1.", "key-")) and not _mixed(value.split("-", 1)[-1]):
        return False
    if value.startswith("pk_"):
        return False  # meant for publication
    return not (re.fullmatch(r"\d{15,16}\|.*|[0-9a-f]{32}-us\d+", value) and before.endswith("/"))


def _mixed(value: str) -> bool:
    return sum(map(str.isdigit, value)) >= 2 and sum(map(str.isalpha, value)) >= 2


def _assigned(text: str, match: re.Match[str], language: str) -> tuple[int, int] | None:
    value, quote, link = match.group("value", "quote", "link")
    start, end = match.span("value")
    after = text[end : end + 2]
    name = match.group("name").lower()
    if quote:
        if after[:1] not in "\"'`\\”»」" or not after:
            return None
    elif after[:1] in ("(", "[", "{", "<", "'", '"', "`"):
        return None
    if (
        not quote
        and name in ("token", "key", "parole", "clave", "credential", "credentials", "geslo", "pass")
        and not re.search(r"[:=]", link)
    ):
        return None
    if link.strip(" \t\"'") == "," and not quote:
        return None
    if not quote:
        before = text[max(0, match.start() - 60) : match.start()]
        if "&" in value and before.endswith(("?", "&")):
            value = value.split("&")[0]
        value = value.rstrip(".!?:。")
        if language == "code" and not _setting(text, match, value):
            return None
    strong = not re.search(r"secret|key|token|credential", name)  # a name that only passwords have
    return (start, start + len(value)) if is_secret(value, strong) else None


def _setting(text: str, match: re.Match[str], value: str) -> bool:
    """In code a bare word after ``=`` is a variable, unless the line is one of a file of settings or of a command."""
    line = text.rfind("\n", max(0, match.start() - 120), match.start()) + 1 or max(0, match.start() - 120)
    rest = text[match.start("value") + len(value) : match.end() + 40].split("\n", maxsplit=1)[0].strip()
    head = text[line : match.end("name")]
    tight = re.search(r"[=:]\s?$", match.group("link")) and not re.search(r"\s=|=\s", match.group("link"))
    plain = re.fullmatch(r"\s*(?:-\s|export |set |ENV |setx |ARG |[#;/*]+ ?|\$ )?\s*[\"']?[\w.-]+", head)
    return (
        bool(plain or head.rstrip().endswith(name_of_parameter(head)))
        and bool(tight or re.search(r"[a-z].*\d|\d.*[a-z]", value, re.IGNORECASE))
        and (rest == "" or rest.startswith(("#", "//", "&", '"', "'", "\\")) or (rest[0] == ";" and ";" in head))
        and any(map(str.isdigit, value))
        and not re.fullmatch(r"[a-z_]+\d?", value)
    )


def name_of_parameter(head: str) -> str:
    """``--db-password`` or ``?password`` at the end of what stands before, or something that is nowhere."""
    found = re.search(r"(?:--|[?&;])[\w-]{1,60}$", head)
    return found.group(0) if found else "\0"


def is_secret(value: str, strong: bool = True) -> bool:
    """What no one would write as a word: letters and digits (or signs) mixed, and no placeholder."""
    if len(value) < (6 if strong else 12) or PLACEHOLDER.search(value) or ENTITY.search(value) or len(set(value)) < 4:
        return False
    letters, digits = sum(map(str.isalpha, value)), sum(map(str.isdigit, value))
    if not letters or letters > 200:
        return False
    if digits:
        return len(value) >= (7 if strong else 12) and (strong or entropy(value) > 2.3)
    signs = len(re.findall(r"[^\w.:/-]", value))
    return strong and signs > 0 and len(value) >= 8 and value[-1] not in ":?" and value.lower() != value


def entropy(value: str) -> float:
    """Bits a character, by the frequencies of the value's own characters."""
    return -sum(value.count(c) / len(value) * log2(value.count(c) / len(value)) for c in set(value))
