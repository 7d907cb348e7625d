"""Language identification on text of which others say what language it is in."""

import pytest

from altiplano.corpus.annotations.language import language_of
from altiplano.corpus.annotations.scripts import primary

pytest.importorskip("babel")


@pytest.fixture(scope="module")
def labelled():
    from corpus.annotations.language_evaluation import samples

    found = samples()
    if len({language for language, _ in found}) < 50:
        pytest.skip("no message catalogues of 50 languages: pip install django")
    return found


def test_short_texts_in_more_than_fifty_languages(labelled):
    right = sum(primary(language_of(text).code) == language for language, text in labelled)
    assert right / len(labelled) >= 0.97, f"{right} of {len(labelled)}"


def test_what_both_identifiers_agree_on_is_right(labelled):
    found = [(language, language_of(text)) for language, text in labelled]
    agreed = [(language, known.code) for language, known in found if primary(known.code) == known.second]
    assert len(agreed) > 0.9 * len(found)
    assert sum(language == primary(code) for language, code in agreed) / len(agreed) >= 0.99
