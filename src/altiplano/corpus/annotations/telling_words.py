"""Words that tell what n-grams do not: Serbian from Croatian, filler from Latin."""

import re

EKAVIAN = re.compile(
    r"\b(?:pre|posle|gde|negde|svagde|ovde|svet\w*|vreme\w*|deca|dece|deci|decu|reč\w*|ceo|cel[aeiou]\w*|deo|del(?:a|om|ovi\w*)"
    r"|uvek|lep[aeiou]|primer\w*|rešen\w*|uspeh\w*|potreb\w*|promen\w*|zahtev\w*|ocen\w*|nedelj\w*|sledeć\w*|mest[aou]\w*"
    r"|čovek\w*|sred\w*|mera\w*|bezbed\w*|vredn\w*|nameren\w*|odelj\w*|razume\w*|videti|hteti|živeti|želeti)\b",
    re.IGNORECASE,
)
IJEKAVIAN = re.compile(
    r"\b(?:prije|poslije|gdje|negdje|ovdje|svijet\w*|vrijeme\w*|djec[aeiou]\w*|riječ\w*|cijel\w*|dio|dijel\w*|uvijek|lijep\w*"
    r"|primjer\w*|rješen\w*|uspjeh\w*|promjen\w*|zahtjev\w*|ocjen\w*|nedjelj\w*|sljedeć\w*|mjest\w*|čovjek\w*|sredstv\w*"
    r"|mjera\w*|vrijedn\w*|namjeren\w*|odjelj\w*|razumije\w*|vidjeti|htjeti|živjeti|željeti|tijel\w*)\b",
    re.IGNORECASE,
)
"""Old Slavic *ě* became e in Serbian and (i)je in Croatian and Bosnian: frequent words that differ by it."""

FILLER = frozenset((
    "a", "ac", "accumsan", "ad", "adipiscing", "adipisicing", "aenean", "aliqua", "aliquam", "aliquet", "aliquip",
    "amet", "anim", "ante", "arcu", "at", "auctor", "augue", "aute", "bibendum", "blandit", "cillum", "commodo",
    "condimentum", "congue", "consectetuer", "consectetur", "consequat", "convallis", "culpa", "cupidatat",
    "curabitur", "cursus", "dapibus", "deserunt", "diam", "dictum", "dignissim", "do", "dolor", "dolore", "donec",
    "dui", "duis", "ea", "efficitur", "egestas", "eiusmod", "eleifend", "elementum", "elit", "enim", "erat", "eros",
    "esse", "est", "et", "etiam", "eu", "euismod", "ex", "excepteur", "exercitation", "facilisis", "fames",
    "faucibus", "felis", "fermentum", "feugiat", "finibus", "fringilla", "fugiat", "fusce", "gravida", "habitant",
    "hendrerit", "iaculis", "id", "imperdiet", "in", "incididunt", "integer", "interdum", "ipsum", "irure", "justo",
    "labore", "laboris", "laborum", "lacinia", "lacus", "laoreet", "lectus", "leo", "libero", "ligula", "lobortis",
    "lorem", "luctus", "maecenas", "magna", "malesuada", "massa", "mattis", "mauris", "maximus", "metus", "mi",
    "minim", "molestie", "mollis", "mollit", "morbi", "nam", "natoque", "nec", "neque", "netus", "nibh", "nisi",
    "nisl", "non", "nostrud", "nulla", "nullam", "nunc", "occaecat", "odio", "officia", "orci", "ornare", "pariatur",
    "pellentesque", "pharetra", "phasellus", "placerat", "porta", "porttitor", "posuere", "potenti", "praesent",
    "pretium", "primis", "proident", "proin", "pulvinar", "purus", "quam", "qui", "quis", "quisque", "reprehenderit",
    "rhoncus", "risus", "rutrum", "sagittis", "scelerisque", "sed", "sem", "semper", "senectus", "sint", "sit",
    "sodales", "sollicitudin", "sunt", "suspendisse", "tellus", "tempor", "tempus", "tincidunt", "tortor",
    "tristique", "turpis", "ullamco", "ultrices", "ultricies", "urna", "ut", "varius", "vehicula", "vel", "velit",
    "venenatis", "veniam", "vestibulum", "vitae", "vivamus", "viverra", "voluptate", "volutpat", "vulputate",
))  # fmt: skip
"""Words of the passage that begins with lorem ipsum and of its generators."""

FILLED = 0.7
"""Share of the words from which Latin is filler: in Latin prose it is below a fifth."""


def serbian_or(name: str, text: str) -> str:
    """``sr-Latn`` for what is taken for Croatian or Bosnian and has more of the Serbian words; and the reverse."""
    serbian, other = len(EKAVIAN.findall(text)), len(IJEKAVIAN.findall(text))
    if serbian > other:
        return "sr-Latn"
    return "bs" if other > serbian and name == "sr-Latn" else name


def is_filler(text: str) -> bool:
    words = re.findall("[a-z]+", text.lower())
    return sum(word in FILLER for word in words) > FILLED * len(words)
