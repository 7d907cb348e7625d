"""Which licence a repository or a file is under, by phrases that only that licence's text contains."""

import re
from pathlib import PurePosixPath

PERMISSIVE = (
    "MIT", "MIT-0", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "ISC", "Zlib", "Unlicense", "CC0-1.0",
    "PSF-2.0", "BSL-1.0", "PostgreSQL", "CC-BY-4.0", "WTFPL",
)  # fmt: skip
"""SPDX identifiers that ``licences = "permissive"`` allows: they ask for attribution at most."""

UNKNOWN = "no licence found"
NAMES = re.compile(r"^(?:licen[cs]e|copying|unlicense)(?:[-.](?:md|txt|rst|mit|apache|bsd))?$", re.IGNORECASE)
SPDX = re.compile(r"SPDX-License-Identifier:\s*\(?([A-Za-z0-9.+-]+)")
HEAD = 4000

# The first that fits; what a text mentions before its own terms (a dual licence, the GPL's many kin) decides the order.
TEXTS = (
    ("SSPL-1.0", r"server side public license"),
    ("AGPL-3.0", r"gnu affero general public license"),
    ("LGPL-3.0", r"gnu lesser general public license\s+version 3"),
    ("LGPL-2.1", r"gnu lesser general public license|gnu library general public license"),
    ("GPL-3.0", r"gnu general public license\s+version 3"),
    ("GPL-2.0", r"gnu general public license"),
    ("MPL-2.0", r"mozilla public license"),
    ("EPL-2.0", r"eclipse public license"),
    ("BUSL-1.1", r"business source license"),
    ("Apache-2.0", r"apache license,?\s+version 2\.0"),
    ("PSF-2.0", r"python software foundation license"),
    ("CC0-1.0", r"cc0 1\.0 universal"),
    ("CC-BY-4.0", r"attribution 4\.0 international"),
    ("Unlicense", r"free and unencumbered software released into the public domain"),
    ("BSL-1.0", r"boost software license"),
    ("PostgreSQL", r"postgresql license"),
    ("BSD-3-Clause", r"redistribution and use in source and binary forms[\s\S]{0,1500}neither the name|"
                     r"redistribution and use in source and binary forms[\s\S]{0,1500}endorse or promote"),
    ("BSD-2-Clause", r"redistribution and use in source and binary forms"),
    ("MIT", r"permission is hereby granted, free of charge[\s\S]{0,400}without restriction"),
    ("ISC", r"permission to use, copy, modify, and(?:/or)? distribute this software for any purpose"),
    ("Zlib", r"this software is provided 'as-is'"),
    ("WTFPL", r"do what the fuck you want"),
)  # fmt: skip
PATTERNS = tuple((name, re.compile(pattern)) for name, pattern in TEXTS)


def is_licence_file(name: str) -> bool:
    return bool(NAMES.match(PurePosixPath(name).name))


def detect(text: str) -> str:
    """SPDX identifier of a licence's text; ``UNKNOWN`` when none is recognised."""
    flat = " ".join(text[:HEAD].lower().split())
    return next((name for name, pattern in PATTERNS if pattern.search(flat)), UNKNOWN)


def strictest(one: str, other: str) -> str:
    """Of two licences in one folder the one that ``TEXTS`` has first: copyleft comes before permissive."""
    order = ["", *(name for name, _ in TEXTS), UNKNOWN]
    return max(one, other, key=lambda name: -order.index(name) if name else -len(order))


def declared(source: str) -> str:
    """What an SPDX line at the top of a source file says; empty when there is none."""
    match = SPDX.search(source[:HEAD])
    return match.group(1) if match else ""


def is_allowed(licence: str, allowed: str | tuple[str, ...]) -> bool:
    """``allowed``: ``"any"``, ``"permissive"`` or SPDX identifiers; ``-only`` and ``-or-later`` do not matter."""
    if allowed == "any":
        return True
    names = PERMISSIVE if allowed == "permissive" else allowed
    return re.sub(r"-(?:only|or-later)$|\+$", "", licence) in names
