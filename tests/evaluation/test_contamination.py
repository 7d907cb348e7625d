"""Items of tasks in training text: found by task, in kept training documents alone."""

import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from altiplano.benchmarks.contamination import find_contamination, training_text
from altiplano.benchmarks.readers.read import read_tasks
from altiplano.errors import InputError

ROWS = [
    {
        "question": "Which of these animals keeps its young in a pouch on its belly until they can walk?",
        "choices": ["The brown bear in its den", "The grey kangaroo of the plains"],
        "answer": 1,
    },
    {
        "question": "Which of these birds builds a nest of wet mud under the roofs of old barns?",
        "choices": ["the barn swallow", "the grey heron"],
        "answer": 0,
    },
    {"question": "4 + 4 =", "choices": ["8", "9"], "answer": 0},
]
FILLER = "The harbour master wrote the tides into a blue ledger and closed it at noon. " * 5


def curated(tmp_path, *documents):
    folder = tmp_path / "curate"
    (folder / "documents").mkdir(parents=True)
    rows = [{"text": FILLER + text + FILLER, "split": split} for text, split in documents]
    for number, row in enumerate(rows):
        parquet.write_table(pa.Table.from_pylist([row]), folder / "documents" / f"part-{number:05d}.parquet")
    (folder / "audit.json").write_text("{}")
    return folder


def task(tmp_path, name, rows, few_shot=0):
    (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / f"{name}.toml").write_text(
        f'name = "{name}"\ndata = "{name}.jsonl"\nprompt = "Question: {{{{question}}}}"\nfew_shot = {few_shot}\n'
    )
    return read_tasks(tmp_path / f"{name}.toml")[0]


def test_items_are_found_by_task_and_the_short_ones_counted(tmp_path):
    tasks = [task(tmp_path, "animals", ROWS), task(tmp_path, "more", ROWS[1:], few_shot=1)]
    folder = curated(tmp_path, (f"{ROWS[1]['question']} The barn swallow.", "train"))
    found = find_contamination(tasks, training_text(folder))
    assert {name: sorted(one.found) for name, one in found.items()} == {"animals": ["1"], "more": ["0"]}
    assert {name: sorted(one.uninformative) for name, one in found.items()} == {"animals": ["2"], "more": ["1"]}


@pytest.mark.parametrize("split", ["heldout", ""])
def test_what_is_not_trained_on_does_not_count(tmp_path, split):
    folder = curated(tmp_path, (ROWS[0]["question"], split), ("Nothing else.", "train"))
    assert not find_contamination([task(tmp_path, "animals", ROWS)], training_text(folder))["animals"].found


def test_all_items_of_one_document_are_found_and_one_item_under_several_names(tmp_path):
    rows = [*ROWS[:2], ROWS[0] | {"answer": 0}, ROWS[0]]
    folder = curated(tmp_path, (" ".join(str(row["question"]) for row in ROWS), "train"))
    assert find_contamination([task(tmp_path, "animals", rows)], training_text(folder))["animals"].found == {
        "0",
        "1",
        "2",
        "3",
    }


def test_a_folder_without_documents_is_refused(tmp_path):
    with pytest.raises(InputError, match="no finished curate folder"):
        training_text(tmp_path)


def test_of_much_text_some_files_are_searched_spread_over_it(tmp_path):
    folder = curated(tmp_path, *[(f"{ROWS[at % 2]['question']} {at}", "train") for at in range(12)])
    size = sum(file.stat().st_size for file in (folder / "documents").iterdir())
    found = find_contamination([task(tmp_path, "animals", ROWS)], training_text(folder, size // 3))["animals"]
    assert (found.files, found.of_files) == (3, 12)
    assert (training_text(folder).of_files, len(training_text(folder).files)) == (12, 12)
    assert len(training_text(folder, 1).files) == 1
