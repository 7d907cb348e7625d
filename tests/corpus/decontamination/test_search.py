"""Benchmarks' items are found however they are written down, and other texts are left alone."""

import html
import json
import random
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.decontamination import index as index_module
from altiplano.corpus.decontamination.index import load_index, write_index
from altiplano.corpus.decontamination.search import _hash, found_in
from altiplano.corpus.words import ngram_hashes
from altiplano.recipe.schema import CorpusConfig, SourceConfig

FILLER = (
    "The harbour master wrote the tides into a blue ledger and closed it at noon. Gulls quarrelled on the roof, as "
    "they do in March, while the ferry lay in fog and nobody on the pier could see the other shore. "
)
PENCILS = {
    "question": "Tom buys three boxes of pencils with twelve pencils in each box. He gives five pencils to each of "
    "his four friends and then loses two more on the way home. How many pencils does Tom have now?",
    "answer": "Tom has 3 x 12 = 36 pencils. He gives away 5 x 4 = 20 pencils, so 16 are left. He loses 2: 14 pencils.",
}
POUCH = {
    "question": "Which of these animals keeps its young in a pouch on its belly until they can walk?",
    "choices": ["The brown bear in its den", "The grey kangaroo of the plains", "The red fox of the fields"],
    "answer": 1,
}
CAPITAL = {"question": "Who painted the blue ferry?", "answer": ["Johanna Reichwald"]}
CHINESE = {"question": "下列哪一种动物会把自己的幼崽放在腹部的育儿袋里直到它们能够自己行走为止", "answer": "灰袋鼠"}
ITEMS = [PENCILS, POUCH, CAPITAL, CHINESE]


def corpus_of(tmp_path, *items, name="tests.jsonl"):
    (tmp_path / name).write_text("".join(json.dumps(item) + "\n" for item in items))
    source = SourceConfig(name="x", domain="web", format="text", path="*")
    return CorpusConfig(root=tmp_path, sources=(source,), benchmarks=(name,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmarks")
    return write_index(corpus_of(path, *ITEMS), path / "index")


def found(folder, *texts):
    return [hits[0].item if hits else None for hits in found_in(folder, texts)]


def disguises(question, answer, choices):
    generator = random.Random(0)
    lettered = "\n".join(f"{letter}) {choice}" for letter, choice in zip("ABCDEF", choices, strict=False))
    shuffled = " / ".join(generator.sample(choices, len(choices)))
    wrapped = re.sub(" ", lambda _: "\n> " if generator.random() < 0.15 else " ", f"**Q:** {question} *A:* {answer}")
    words = question.split()
    words[len(words) // 3] = "wrnog"
    return {
        "the question alone": question,
        "question and answer": f"{question} {answer}",
        "lettered choices": f"{question}\n{lettered}\nAnswer: {answer}",
        "choices in another order": f"{question} {shuffled} ({answer})",
        "capitals without punctuation": re.sub(r"[^\w\s]", "", f"{question} {answer}").upper(),
        "quoted in Markdown": wrapped,
        "HTML": f"<p>{question}</p><ul><li>{'</li><li>'.join(choices)}</ul><b>{answer}</b>",
        "JSON": json.dumps({"q": question, "a": answer}),
        "a typing error": f"{' '.join(words)} {answer}",
        "accents, wide letters and curly apostrophes": question.replace("e", "é").replace("o", "ｏ"),
        "decomposed and with soft hyphens": question.replace("a", "a\u0301").replace("pen", "pen\xad"),
        "a part": " ".join(question.split()[: int(len(question.split()) * 0.8)]),
    }


PLANTED = [
    (number, name, text)
    for number, item in enumerate(ITEMS[:2])
    for name, text in disguises(item["question"], str(item["answer"]), item.get("choices", [])).items()
]


@pytest.mark.parametrize(("number", "name", "text"), PLANTED, ids=lambda value: value if isinstance(value, str) else "")
def test_an_item_is_found_however_it_is_written(folder, number, name, text):
    assert found(folder, text, f"{FILLER}{text} {FILLER}", FILLER) == [number, number, None]


def test_a_long_answer_is_found_by_itself_and_a_short_question_only_with_its_answer(folder):
    assert found(folder, f"{FILLER} So: {PENCILS['answer']}") == [0]
    short = CAPITAL["question"]
    assert found(folder, short, f"{FILLER} {short} {FILLER}", f"{short} (A) Ann Lee (B) Johanna Reichwald") == [
        None,
        None,
        2,
    ]
    assert found(folder, f"Johanna Reichwald lives here. {short}", f"{short} {FILLER * 10} Johanna Reichwald") == [
        None,
        None,
    ]


def test_scripts_without_spaces(folder):
    assert found(folder, f"早上好。{CHINESE['question']}?答案:灰袋鼠", "下列哪一种动物会游泳") == [3, None]


def test_text_of_the_same_kind_is_left_alone(folder):
    others = [
        "Tom buys a box of pencils. How many pencils does Tom have now? He gives them to each of his four friends.",
        "Which of these animals can walk? The kangaroo keeps its young in a pouch.",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 a b c d e f g h",
    ]
    assert found(folder, *others) == [None] * 3


def test_what_many_questions_say_tells_nothing(tmp_path):
    """64 questions of one form: the form alone is no leak, and each is still found by what is its own."""
    things = [f"{first}{second}ium" for first in "abcdefghij" for second in "klmnopqrst"]
    questions = [{"question": f"Which of the following is the most important property of {thing}?"} for thing in things]
    answers = [question | {"answer": f"its {thing} colour"} for question, thing in zip(questions, things, strict=True)]
    folder = write_index(corpus_of(tmp_path, *answers), tmp_path / "index")
    assert found(folder, "Which of the following is the most important property of water? Its colour.") == [None]
    assert found(folder, f"{answers[7]['question']} Well: {answers[7]['answer']}.") == [7]


def test_numbers_tell_nothing_and_short_items_are_counted(tmp_path):
    sums = {"question": "4 * 8 = 32 - 6 + 1 - 2 - 3 - 4 - 5", "answer": "8"}
    folder = write_index(corpus_of(tmp_path, sums, {"question": "Why?", "answer": "Yes"}, PENCILS), tmp_path / "index")
    assert found(folder, "1 4 8 32 6 1 2 3 4 5 8 9") == [None]
    assert load_index(folder).items["sought"].tolist() == [False, False, True]


def test_one_phrase_does_not_stand_for_a_question_that_repeats_it(tmp_path):
    item = {"text": "Elements on the right side differ from elements on the left side as elements on the right side do"}
    folder = write_index(corpus_of(tmp_path, item), tmp_path / "index")
    assert found(folder, "The elements on the right side of the page.", item["text"]) == [None, 0]


def test_variants_of_a_task_are_one_item_each(tmp_path):
    """The same question with other answers: each item counts, whatever the answer."""
    corpus = corpus_of(tmp_path, POUCH, POUCH, POUCH | {"answer": 0})
    folder = write_index(corpus, tmp_path / "index")
    index = load_index(folder)
    assert len(index.items) == 2 and index.items["sought"].all()
    assert [hit.item for hits in found_in(folder, [POUCH["question"]]) for hit in hits] == [0, 1]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12), st.integers(1, 6))
def test_runs_are_hashed_as_everywhere(words, length):
    array = np.array(words, np.uint64)
    expected = ngram_hashes(array, length).tolist()
    assert [int(_hash(array, at, length)) for at in range(len(words) - length + 1)] == expected


def test_the_bit_table_never_says_no_to_what_is_there():
    hashes = np.random.default_rng(0).integers(0, 2**64, 50_000, np.uint64)
    bits = index_module._bits(np.unique(hashes))
    last = np.uint64(len(bits) - 1)
    assert all(bits[value & last] & three == three for value in hashes for three in [index_module.three_bits(value)])
    others = np.random.default_rng(1).integers(0, 2**64, 20_000, np.uint64)
    known = [bits[value & last] & three == three for value in others for three in [index_module.three_bits(value)]]
    assert np.mean(known) < 0.03


FLOOR = {"question": "What covered the kitchen floor?", "choices": ["A grey carpet", "Johanna's rug"], "answer": 1}
FORMULA = {
    "question": "Solve $\\frac{2x+3}{\\theta}=\\text{max}(u, 7)$ for <b>every</b> u & \\nu > 0.",
    "answer": "the wider bracket",
}
PROGRAM = {
    "question": "Write a function that swaps two numbers.",
    "answer": "def swap(first,second):\r\n\tfirst, second = second, first\r\n\treturn(first, second)",
}


@pytest.mark.parametrize("item", [FLOOR, FORMULA, PROGRAM], ids=["short", "formula", "program"])
@pytest.mark.parametrize(
    "disguise",
    [
        lambda q, a: json.dumps({"prompt": q, "completion": a}),
        lambda q, a: json.dumps(json.dumps([q, a])),
        lambda q, a: re.sub(r"[^\w\s]", "", f"{q} {a}").upper(),
        lambda q, a: re.sub(r"[^\w\s]", " - ", f"{q} {a}"),
        lambda q, a: f"<dt>{html.escape(q)}</dt>\n<dd class='x'>{html.escape(a)}</dd>",
        lambda q, a: f"{q}\n\\begin{{enumerate}}\\item one of these\\item {a}\\end{{enumerate}}",
        lambda q, a: f"{q}\nA) {FILLER}\nB) {a}",
    ],
    ids=["JSON", "JSON in JSON", "no punctuation", "other punctuation", "HTML", "LaTeX", "other choices"],
)
def test_short_questions_and_formulas_and_programs_with_their_answers(tmp_path, item, disguise):
    folder = write_index(corpus_of(tmp_path, item), tmp_path / "index")
    answer = item["choices"][item["answer"]] if "choices" in item else item["answer"]
    text = disguise(item["question"], answer)
    assert found(folder, f"{FILLER} {text} {FILLER}", f"{FILLER} {FILLER}") == [0, None]


def test_all_items_of_a_document_are_found_not_its_first(folder):
    texts = [f"{PENCILS['question']} {FILLER} {POUCH['question']} {FILLER}"]
    assert [[hit.item for hit in hits] for hits in found_in(folder, texts)] == [[0, 1]]


@given(st.integers(0, 9), st.sampled_from(["misspelt", "left out", "another before it"]))
def test_one_word_of_a_short_question_may_be_changed(place, how):
    words = f"Which old painter painted the blue ferry in Hamburg harbour? {CAPITAL['answer'][0]}".split()
    asked = {"question": " ".join(words[:10]), "answer": " ".join(words[10:])}
    changed = {"misspelt": ["q" + words[place]], "left out": [], "another before it": ["very", words[place]]}[how]
    text = " ".join(words[:place] + changed + words[place + 1 :])
    with tempfile.TemporaryDirectory() as here:
        index = write_index(corpus_of(Path(here), asked), Path(here) / "index")
        assert found(index, f"{FILLER} {text} {FILLER}") == [0]


def test_information_decides_not_the_number_of_words(tmp_path):
    """Repeated words, numbers and letters add little; rare words much."""
    little = {"question": "is it so or is it so or is it so", "answer": "so it is"}
    rare = {"question": "Acrocephaly resembles?", "answer": "Oxycephaly, plagiocephaly"}
    folder = write_index(corpus_of(tmp_path, little, rare), tmp_path / "index")
    assert load_index(folder).items["sought"].tolist() == [False, True]
    texts = [f"{FILLER} Acrocephaly resembles? Oxycephaly, plagiocephaly.", "Is it so, or is it so? So it is."]
    assert found(folder, *texts) == [1, None]
