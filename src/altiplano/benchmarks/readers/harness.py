"""Tasks of lm-evaluation-harness: its YAML files, where their data lies beside them.

What is read: prompts and choices as templates or columns, multiple choice, log-likelihood and generation, few-shot
examples, ``include``. What needs Python functions or a hub is refused by name.
"""

from pathlib import Path
from typing import Any

from altiplano.benchmarks.item import Metric
from altiplano.benchmarks.task_file import Style, TaskFile
from altiplano.errors import InputError
from altiplano.optional_imports import extra
from altiplano.recipe.load import check

STYLES: dict[str, Style] = {"multiple_choice": "ranked", "loglikelihood": "cloze", "generate_until": "written"}
METRICS: dict[str, Metric] = {
    "acc": "accuracy",
    "acc_norm": "accuracy_per_character",
    "acc_bytes": "accuracy_per_byte",
    "acc_mutual_info": "accuracy_unconditional",
    "exact_match": "exact_match",
    "f1": "f1",
    "chrf": "chrf",
    "bleu": "bleu",
}
SAMPLERS = {"default": "per_item", "first_n": "first_n"}
SPLITS = ("test_split", "validation_split", "training_split")


def read_harness_task(file: Path) -> TaskFile:
    """Raises InputError, naming the key, when the task cannot be read without its hub or its Python code."""
    values = _load(file, ())
    kind = values.get("output_type", "generate_until")
    if kind not in STYLES:
        raise InputError(f"{file}: output_type = {kind}: {', '.join(STYLES)} can be read")
    for key in ("process_docs", "process_results", "doc_to_image", "doc_to_audio", "custom_dataset"):
        if values.get(key):
            raise InputError(f"{file}: {key} is Python code, which is not run: save what it makes as a data file")
    if values.get("gen_prefix"):
        raise InputError(f"{file}: gen_prefix is not read: write it at the end of doc_to_text")
    split = next((values[key] for key in SPLITS if values.get(key)), None)
    style = STYLES[kind]
    metrics = [METRICS[found] for one in _list(values.get("metric_list")) if (found := one.get("metric")) in METRICS]
    kept = {
        "name": str(values.get("task") or file.stem),
        "data": _data(file, values, split),
        "style": style,
        "prompt": _template(values.get("doc_to_text", "")),
        "answer": _column(values.get("doc_to_target", "")),
        "delimiter": "" if style == "cloze" else values.get("target_delimiter", " "),
        "description": values.get("description") or "",
        "between": values.get("fewshot_delimiter", "\n\n"),
        "few_shot": int(values.get("num_fewshot") or 0),
        "unconditional": "" if "accuracy_unconditional" in metrics else None,
        "groups": tuple(_list(values.get("tag")) + _list(values.get("group"))),
        "metric": _best(metrics, style),
    }
    if style == "ranked":
        choices = values.get("doc_to_choice", "choices")
        kept["choices"] = tuple(map(str, choices)) if isinstance(choices, list) else str(choices)
    if kept["few_shot"]:
        kept |= _few_shot(file, values, split)
    if style == "written":
        generation = values.get("generation_kwargs") or {}
        kept["stop"] = tuple(_list(generation.get("until", ["\n\n"])))
        kept["max_tokens"] = int(generation.get("max_gen_toks", 256))
        kept["ignore"] = tuple(p for one in _list(values.get("metric_list")) for p in one.get("regexes_to_ignore", ()))
        kept["extract"] = _extract(values)
    return check(TaskFile, kept, str(file))


def _few_shot(file: Path, values: dict[str, Any], split: str | None) -> dict[str, Any]:
    """Where the examples come from, and how they are drawn."""
    settings = dict(values.get("fewshot_config") or {})
    sampler, named = settings.pop("sampler", "default"), settings.pop("split", None)
    if sampler not in SAMPLERS or settings:
        what = next(iter(settings), f"sampler = {sampler}")
        raise InputError(f"{file}: fewshot_config: {what} is not read: only sampler (default, first_n) and split are")
    from_split = named or values.get("fewshot_split") or values.get("training_split") or values.get("validation_split")
    kept: dict[str, Any] = {"few_shot_sampler": SAMPLERS[sampler]}
    if from_split and from_split != split:
        kept["few_shot_data"] = _data(file, values, from_split)
    return kept


def _load(file: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The file's keys over those of the files that it includes."""
    yaml = extra("yaml", "evaluation", "tasks of lm-evaluation-harness")
    if file.resolve() in above:
        raise InputError(f"{file} includes itself")

    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        """Says which function it would have run."""

    def refuse(_: Any, node: Any) -> Any:
        raise InputError(f"{file}: !function {node.value} is Python code, which is not run: use a template or a column")

    Loader.add_constructor("!function", refuse)
    try:
        found = yaml.load(file.read_text(encoding="utf-8"), Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise InputError(f"{file} is no task: it has no keys")
    below: dict[str, Any] = {}
    for name in _list(found.pop("include", None)):
        below |= _load(file.parent / name, (*above, file.resolve()))
    return below | found


def _data(file: Path, values: dict[str, Any], split: str | None) -> Path:
    """The one data file of a split."""
    arguments = values.get("dataset_kwargs") or {}
    found = arguments.get("data_files") or values.get("data_files")
    if isinstance(found, dict):
        found = found.get(split) if split else next(iter(found.values()), None)
    listed = _list(found)
    if len(listed) != 1:
        stated = values.get("dataset_path", "nothing")
        raise InputError(
            f"{file}: its data is {stated}, which is not a file here: set dataset_path: json and "
            "dataset_kwargs: {data_files: {test: FILE}}"
        )
    path = Path(listed[0])
    return path if path.is_absolute() or (file.parent / path).exists() else path.absolute()


def _template(text: Any) -> str:
    """A column's name where lm-evaluation-harness takes one, as a template."""
    if isinstance(text, str) and text and "{" not in text and "\n" not in text and " " not in text:
        return "{{" + text + "}}"
    return str(text)


def _column(target: Any) -> str:
    return "{{" + str(target) + "}}" if isinstance(target, int) else str(target)


def _best(metrics: list[Metric], style: Style) -> Metric | None:
    """Normalised by length where it is asked for, as reports have it."""
    if style == "cloze":
        return "greedy"
    if "accuracy_per_character" in metrics:
        return "accuracy_per_character"
    return metrics[0] if metrics else None


def _extract(values: dict[str, Any]) -> str:
    """The pattern of the filter that takes the last match, else of the first filter that has one."""
    steps = [step for one in _list(values.get("filter_list")) for step in _list(one.get("filter"))]
    patterns = [step for step in steps if step.get("function") == "regex"]
    last = next((step for step in patterns if step.get("group_select") == -1), None)
    chosen = last or (patterns[0] if patterns else {})
    return str(chosen.get("regex_pattern", ""))


def _list(found: Any) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else [] if found is None else [found]
