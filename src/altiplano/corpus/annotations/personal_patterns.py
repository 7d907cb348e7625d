"""The shapes of personal data. Generous: ``personal_checks.py`` judges what they match.

A NUL stands for something already removed and never matches.
"""

import re

DIGITS = re.compile(r"\d[^\n]{0,40}?\d")
LITERALS = re.compile(r"[@:=]|PRIVATE KEY|AKIA|ASIA|gh[pousr]_|xox|sk_|AIza|eyJ", re.IGNORECASE)

EMAIL = re.compile(
    r"(?<![\w.+-])[\w+-](?:[\w.+-]{0,62}[\w+-])?@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}(?:xn--[a-z0-9]{2,20}|[^\W\d_]{2,24})(?![\w-])"
)
OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
IP4 = re.compile(rf"(?<![\w.-])(?:{OCTET}\.){{3}}{OCTET}(?!\w|-\w|\.\w)", re.ASCII)
IP6 = re.compile(r"(?<![\w:.])(?=[0-9a-fA-F:]{6,39}(?![\w:]))(?:[0-9a-fA-F]{1,4}:|:)(?:[0-9a-fA-F]{0,4}:){1,6}[0-9a-fA-F]{0,4}(?![\w:])")
CARD = re.compile(
    r"(?<![\w.-])(?<!\d[ ])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{4}([ -])\d{6}\2\d{4,5}|\d{13,19})(?![\w-]|\.\d|[ ]\d)", re.ASCII
)
IBAN = re.compile(r"(?<![\w])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![A-Za-z0-9])", re.ASCII)
SSN = re.compile(r"(?<![\w.-])(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-]|\.\d)", re.ASCII)
PHONE = re.compile(
    r"(?<![\w.+/=-])(?<!\d[ ])(?:(?:\+|00)\d{1,3}[ ./-]{0,2})?(?:\(\d{1,5}\)[ ./-]{0,2})?\d{1,5}(?:[ ./-]{1,2}\d{1,5}|\d){1,9}(?![\w]|-\w|\.\d|[ ]\d)",
    re.ASCII,
)
SECRET = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----[\s\S]{1,8000}?-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{22,82}\b|\bglpat-[A-Za-z0-9_-]{20}\b"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,80}\b|\bsk_live_[0-9a-zA-Z]{24,99}\b|\bAIza[0-9A-Za-z_-]{35}(?![\w-])"
    r"|\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}"
    r"|\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\0]{1,60}:(?P<password>[^\s:/@\0\[\]<>{}$*]{4,60})(?=@[\w.-])"
    r"|(?i:\b(?:password|passwd|passwort|contraseña|mot de passe|secret(?:[_-]key)?|api[_-]?key|access[_-]?token)\b[\"']?\s{0,3}[=:]\s{0,3})"
    r"(?P<quote>[\"']?)(?P<value>(?=[^\s'\";,\0]*\d)(?=[^\s'\";,\0]*[A-Za-z])[^\s'\";,()<>{}$\0\[\]]{8,80})(?P=quote)(?![\w(\[])"
)
