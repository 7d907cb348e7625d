"""What there is to find of an item, in the forms in which people have benchmarks."""

import gzip
import json

import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from altiplano.corpus.decontamination.benchmark_items import Item, read_items
from altiplano.errors import InputError

QUESTION = "Which of these birds builds a nest of mud under the roofs of barns?"
CHOICES = ["the barn swallow", "the common cuckoo", "the grey heron"]
PLAIN = {"question": QUESTION, "choices": CHOICES, "answer": 0, "subject": "biology"}


def items(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(read_items(tmp_path, path))


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.mark.parametrize(
    ("record", "answers"),
    [
        (PLAIN, CHOICES[:1]),
        (PLAIN | {"answer": "B"}, CHOICES[1:2]),
        (PLAIN | {"answer": None}, CHOICES),
        ({"query": QUESTION, "choices": {"text": CHOICES, "label": ["A", "B", "C"]}, "answerKey": "C"}, CHOICES[2:]),
        ({"ctx": QUESTION, "endings": CHOICES, "label": "1"}, CHOICES[:2]),  # from 0 or from 1: both
        ({"goal": QUESTION, "sol1": CHOICES[0], "sol2": CHOICES[1], "label": 0}, CHOICES[:1]),
        ({"question": QUESTION, "opa": CHOICES[0], "opb": CHOICES[1], "cop": 1}, CHOICES[1:2]),
        ({"prompt": QUESTION, "canonical_solution": "return 1 + 1"}, ["return 1 + 1"]),
        ({"doc": PLAIN, "request": {"context": "Question: another one of five shots"}}, CHOICES[:1]),
    ],
)
def test_questions_and_right_answers(tmp_path, record, answers):
    assert items(tmp_path, "a.jsonl", lines(record)) == [Item([QUESTION], answers)]


def test_a_prompt_that_is_written_out(tmp_path):
    passage = "Swallows are birds of open land. " * 20
    prompt = f"Passage: {passage}\nQuestion: {QUESTION}\n A. {CHOICES[0]}\n B. {CHOICES[1]}\nAnswer: {CHOICES[0]}"
    assert items(tmp_path, "a.jsonl", lines({"query": prompt})) == [Item([QUESTION], CHOICES[:1])]


def test_long_passages_are_public_text_and_short_ones_a_part_of_the_question(tmp_path):
    long = {"question": QUESTION, "context": "Swallows are birds of open land. " * 20, "answers": ["swallow"]}
    assert items(tmp_path, "a.jsonl", lines(long)) == [Item([QUESTION], ["swallow"])]
    nested = {"question": QUESTION, "full_text": {"paragraphs": [["Swallows are birds. " * 50]]}}
    assert items(tmp_path, "a.jsonl", lines(nested)) == [Item([QUESTION], [])]
    short = {"question": "What does she do?", "passage": "Ann sees a nest under the roof.", "answers": ["She waits"]}
    assert items(tmp_path, "a.jsonl", lines(short))[0].questions == [short["question"], short["passage"]]


def test_an_item_for_each_of_its_choices_is_one_item(tmp_path):
    requests = [{"doc": PLAIN, "idx": at, "request": {"continuation": choice}} for at, choice in enumerate(CHOICES)]
    assert len(items(tmp_path, "requests.jsonl.gz", gzip.compress(lines(*requests).encode()))) == 1


@pytest.mark.parametrize("name", ["a.json", "b.json", "a.parquet", "a.arrow", "a.csv", "a.tsv", "a.txt"])
def test_files_as_people_have_them(tmp_path, name):
    rows = [{"question": f"{QUESTION} ({n})", "answer": f"swallow {n}"} for n in range(3)]
    path = tmp_path / name
    if name.endswith(".json"):
        path.write_text(json.dumps(rows if name == "a.json" else {"version": 1, "data": rows}))
    elif name == "a.parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif name == "a.arrow":
        table = pa.Table.from_pylist(rows)
        with ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)
    elif name == "a.txt":
        path.write_text("".join(row["question"] + "\n" for row in rows) + "\n")
    else:
        separator = "," if name == "a.csv" else "\t"
        path.write_text("\n".join(separator.join(row) for row in [rows[0].keys(), *(row.values() for row in rows)]))
    found = list(read_items(tmp_path, path))
    assert [item.questions for item in found] == [[row["question"]] for row in rows]
    assert name == "a.txt" or [item.answers for item in found] == [[row["answer"]] for row in rows]


@pytest.mark.parametrize(("name", "data"), [("a.jsonl", "{no"), ("a.parquet", "PAR1"), ("a.jsonl.gz", "no gzip")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, data):
    with pytest.raises(InputError, match=rf"corpus\.benchmarks: .*{name} cannot be read: "):
        items(tmp_path, name, data)


SHORT = "What is a nest of mud?"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("squad.json", {"data": [{"title": "Birds", "paragraphs": [{"context": "Mud is wet. " * 99, "qas": [
            {"id": "1", "question": QUESTION, "answers": [{"text": "the barn swallow", "answer_start": 3}]},
            {"id": "2", "question": SHORT, "answers": [{"text": "a home", "answer_start": 9}]},
        ]}]}]}, [Item([QUESTION], ["the barn swallow"]), Item([SHORT], ["a home"])]),
        ("chat.jsonl", {"messages": [
            {"role": "system", "content": "You are a helpful assistant who knows many birds."},
            {"role": "user", "content": SHORT}, {"role": "assistant", "content": "a home"},
        ]}, [Item([SHORT], ["a home"])]),
        ("share.json", [{"conversations": [{"from": "human", "value": SHORT}, {"from": "gpt", "value": "a home"}]}],
         [Item([SHORT], ["a home"])]),
        ("turns.jsonl", {"question_id": 81, "turns": [QUESTION, SHORT]}, [Item([QUESTION, SHORT], [])]),
        ("hops.jsonl", {"question": QUESTION, "answer": "a swallow", "paragraphs": [
            {"title": "Birds", "paragraph_text": "Birds are animals that lay eggs and have feathers."}]},
         [Item([QUESTION], ["a swallow"])]),
        ("nothing.jsonl", {"Frage": "Was?"}, [Item([], [])]),  # counted as an item that is not looked for
    ],
)  # fmt: skip
def test_passages_with_many_questions_and_conversations(tmp_path, name, data, expected):
    assert items(tmp_path, name, json.dumps(data)) == expected


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("mmlu.csv", f"{SHORT},a hole,a home,a stone,a hat,B\n{QUESTION},an owl,an elk,a swallow,a cow,C\n",
         [Item([SHORT], ["a home"]), Item([QUESTION], ["a swallow"])]),
        ("letters.csv", f"question,A,B,C,D,answer\n{SHORT},a hole,a home,a stone,a hat,B\n",
         [Item([SHORT], ["a home"])]),
        ("mgsm.tsv", f"{SHORT}\t11\n{QUESTION}\t12\n", [Item([SHORT], ["11"]), Item([QUESTION], ["12"])]),
        ("spaces.csv", f"\ufeffQuestion,Best Answer,Incorrect Answers\n{SHORT},a home,a hole\n",
         [Item([SHORT], ["a home"])]),
        ("long.csv", f"question,answer\n{SHORT},{'a home ' * 30_000}\n",
         [Item([SHORT], [("a home " * 30_000).strip()])]),
        ("lines.json", lines({"question": SHORT}, {"question": QUESTION}), [Item([SHORT], []), Item([QUESTION], [])]),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)  # fmt: skip
def test_tables_without_names_and_json_lines_under_another_name(tmp_path, name, data, expected):
    assert items(tmp_path, name, data) == expected


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "cp1252"])
def test_tables_in_the_charsets_of_spreadsheets(tmp_path, charset):
    asked = "Où est né le grand poète dont le père était boulanger à Orléans ?"
    assert items(tmp_path, "a.tsv", f"Question\tAnswer\n{asked}\tà Blois\n".encode(charset)) == [
        Item([asked], ["à Blois"])
    ]
