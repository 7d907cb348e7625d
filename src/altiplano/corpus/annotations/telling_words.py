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

FILLER = frozenset(
    """lorem ipsum dolor sit amet consectetur consectetuer adipiscing adipisicing elit sed do eiusmod tempor incididunt ut
    labore et dolore magna aliqua enim ad minim veniam quis nostrud exercitation ullamco laboris nisi aliquip ex ea
    commodo consequat duis aute irure in reprehenderit voluptate velit esse cillum eu fugiat nulla pariatur excepteur
    sint occaecat cupidatat non proident sunt culpa qui officia deserunt mollit anim id est laborum vestibulum
    pellentesque aenean curabitur vivamus suspendisse praesent phasellus maecenas nullam integer donec mauris morbi
    vitae ac nec nibh ligula tellus turpis massa odio lacus justo libero augue vel at pulvinar feugiat tincidunt dapibus
    ultricies ultrices porttitor venenatis faucibus bibendum scelerisque sagittis sollicitudin malesuada fermentum
    eleifend egestas cursus condimentum blandit auctor accumsan aliquam aliquet ante arcu a convallis congue diam
    dictum dignissim dui efficitur elementum erat eros etiam euismod facilisis fames felis finibus fringilla fusce
    gravida habitant hendrerit iaculis imperdiet interdum lacinia laoreet lectus leo lobortis luctus mattis maximus metus
    mi molestie mollis nam natoque neque netus nisl nunc orci ornare pharetra placerat porta posuere potenti pretium
    primis proin purus quam quisque rhoncus risus rutrum semper senectus sem sodales sollicitudin tempus tortor tristique
    urna ut varius vehicula vestibulum viverra volutpat vulputate""".split()
)
"""Words of the passage that begins with lorem ipsum and of its generators."""

FILLED = 0.7
"""Share of the words from which Latin is filler: in Latin prose it is below a fifth."""


def serbian_or(name: str, text: str) -> str:
    """``sr-Latn`` for what is taken for Croatian or Bosnian and has more of the Serbian words; and the other way about."""
    serbian, other = len(EKAVIAN.findall(text)), len(IJEKAVIAN.findall(text))
    if serbian > other:
        return "sr-Latn"
    return "bs" if other > serbian and name == "sr-Latn" else name


def is_filler(text: str) -> bool:
    words = re.findall("[a-z]+", text.lower())
    return sum(word in FILLER for word in words) > FILLED * len(words)
