"""The user's word lists, such as insults or adult terms, none of which is shipped here; and function words.

Of function words each language's most frequent ones: running text has some, lists and menus have none.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from altiplano.corpus.annotations.scripts import primary
from altiplano.corpus.words import U64, ngram_hashes, word_hashes
from altiplano.errors import InputError

LONGEST = 6
"""Words of a phrase."""

Listed = dict[int, U64]
"""Per length in words, the hashes of the phrases of that length."""


def read_word_lists(paths: Mapping[str, Path]) -> dict[str, Listed]:
    """Per language, the list in the file: one word or phrase a line, ``#`` begins a comment.

    Raises InputError when a file cannot be read.
    """
    lists = {}
    for language, path in paths.items():
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(f"corpus.quality.word_lists.{language}: cannot read {path}: {error.strerror}") from error
        phrases = [word_hashes(line.split("#")[0]) for line in text.splitlines()]
        lists[language] = {
            n: np.unique(np.concatenate([ngram_hashes(phrase, n) for phrase in phrases if len(phrase) == n]))
            for n in sorted({len(phrase) for phrase in phrases if 0 < len(phrase) <= LONGEST})
        }
    return lists


def _content(language: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"corpus.quality.word_lists.{language}: cannot read {path}: {error.strerror}") from error


def listed_share(words: U64, listed: Listed) -> float:
    """Share of words that are, or begin, a listed phrase."""
    if not len(words):
        return 0.0
    return sum(int(np.isin(ngram_hashes(words, n), phrases).sum()) for n, phrases in listed.items()) / len(words)


FUNCTION_WORDS = {
    "af": "die en van het in is dat nie te wat vir met op",
    "ar": "في من على إلى أن عن مع هذا هذه التي الذي ما لا أو كان",
    "bg": "и на в да се от за не с е че по са",
    "bn": "এবং ও এই যে থেকে করে না একটি তার হয় সে",
    "ca": "de la i el que en a els les per un una amb no és",
    "cs": "a v se na je že s z do i to pro jako ale si",
    "da": "og i at det er en til af som på de med for ikke den",
    "de": "der die und das in zu den nicht mit von ist es ein eine auf dass sie für dem",
    "el": "και το η του της την να στο με για από που είναι ο δεν",
    "en": "the be to of and that have with a in is it for on are as this you",
    "es": "de la que el en y a los se del las un por con no una para es su",
    "et": "ja on ei et see ta oli kui aga mis ka",
    "eu": "eta da ez du zen bat dira izan ere dute",
    "fa": "و در به از که این را با است برای آن",
    "fi": "ja on ei että se oli hän myös kun mutta joka ovat tai",
    "fr": "de la le et les des en un une du que est pour qui dans pas au sur ne",
    "gl": "de a o e que do da en un unha os as para non se",
    "he": "של את על לא הוא זה עם כי גם היא אני או",
    "hi": "के में है की और से को का यह पर नहीं एक",
    "hr": "i je u se na da su za od s što kao nije a",
    "hu": "a az és hogy nem is egy ez de volt mint vagy meg",
    "hy": "և է մեջ են որ այս համար մի էր",
    "id": "yang dan di ini dengan untuk dari tidak itu dalam pada adalah ke",
    "is": "og að í á er sem við til um ekki það en",
    "it": "di e il la che in un a per è una non sono del con le si i",
    "ja": "の は を に が と で も な た て",
    "ka": "და რომ ეს არ იყო მისი არის ან",
    "kk": "және мен бұл бір үшін деп да де",
    "ko": "이 그 수 있는 및 등 또는 있다 것이다 그리고 대한",
    "lt": "ir yra kad su iš į tai ne bet kaip buvo",
    "lv": "un ir ka no uz par ar kas bet nav",
    "mk": "и на во се да од за не со е што",
    "mr": "आणि आहे या हे तो की नाही व एक",
    "ms": "yang dan di ini dengan untuk dari tidak itu dalam pada adalah",
    "nl": "de het een van en in is dat op te zijn voor met niet aan",
    "no": "og i det er på en til som av for at ikke med de",
    "nn": "og i det er på ein til som av for at ikkje med dei",
    "pl": "w i na z się do nie to że jest o za jak po co",
    "pt": "de a o que e do da em um para com não uma os no se na por",
    "ro": "de și în a la cu pe nu este care o un din mai să",
    "ru": "и в не на что с по как это но к из у за от",
    "sk": "a v sa na je že s z do to pre ako ale si",
    "sl": "in je v na da se za so z ki ne pa",
    "sq": "të e në dhe për me që një nga është si",
    "sr": "и је у се на да су за од i je u se na da su za od",
    "sv": "och i att det som en är på för av med den till inte",
    "sw": "ya na wa kwa ni katika la za kuwa hii",
    "ta": "மற்றும் ஒரு இந்த என்று அது என்ற",
    "tr": "ve bir bu için ile da de çok ne gibi daha olarak",
    "uk": "і в не на що з та як це до у за від але",
    "ur": "کے میں ہے کی اور سے کو کا یہ پر نہیں",
    "vi": "và của là có không được cho một các trong với những để",
    "zh": "的 是 了 在 不 和 有 我 这 這 一",
}
"""Closed-class words as any grammar lists them. In Chinese and Japanese a word is a character (``words.py``)."""


def function_words(language: str) -> str:
    """Separated by spaces; empty for a language without a list."""
    return FUNCTION_WORDS.get(primary(language), "")
