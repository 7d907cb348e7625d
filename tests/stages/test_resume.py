"""A long stage that was begun with other settings: refused key by key, or taken over as allowed."""

import json
from pathlib import Path
from typing import Any

import pytest

from altiplano.errors import InputError
from altiplano.stages.resume import begin, differences


def wanted(**changes: Any) -> dict[str, Any]:
    recipe = {"optimizer": {"learning_rate": 3e-3, "beta1": 0.9}, "model": {"layers": 4}, "seed": 1}
    for key, value in changes.items():
        section, _, name = key.partition("__")
        recipe[section] = {**recipe[section], name: value} if name else value  # type: ignore[dict-item]
    return {"stage": "train", "version": "1", "recipe": recipe, "inputs": {"tokenize": "aa"}}


def start(work: Path, fingerprint: str, values: dict[str, Any], *allow: str, begin_again: bool = False) -> Path:
    folder = work / f"train-{fingerprint * 12}"
    begin("train", folder, values, allow, begin_again=begin_again)
    return folder


def test_the_same_settings_go_on(tmp_path: Path) -> None:
    folder = start(tmp_path, "a", wanted())
    (folder / "weeks of work").write_text("")
    assert (start(tmp_path, "a", wanted()) / "weeks of work").exists()


def test_a_change_is_named_and_refused(tmp_path: Path) -> None:
    start(tmp_path, "a", wanted())
    with pytest.raises(InputError, match=r"beta1 was 0.9, is 0.8; optimizer.learning_rate was 0.003, is 0.001"):
        start(tmp_path, "b", wanted(optimizer__learning_rate=1e-3, optimizer__beta1=0.8), "optimizer.beta1")
    assert not (tmp_path / f"train-{'b' * 12}").exists()


def test_an_allowed_change_takes_the_work_over_and_is_recorded(tmp_path: Path) -> None:
    (start(tmp_path, "a", wanted()) / "weeks of work").write_text("")
    folder = start(tmp_path, "b", wanted(optimizer__learning_rate=1e-3), "optimizer.learning_rate")
    assert (folder / "weeks of work").exists()
    assert not (tmp_path / f"train-{'a' * 12}").exists()
    assert json.loads((folder / "changes.jsonl").read_text())["changes"] == {"optimizer.learning_rate": [0.003, 0.001]}
    assert start(tmp_path, "b", wanted(optimizer__learning_rate=1e-3)) == folder


def test_keys_that_a_newer_version_added_are_no_change(tmp_path: Path) -> None:
    """As long as nobody sets them: then the version is all that changed."""
    (start(tmp_path, "a", wanted()) / "weeks of work").write_text("")
    newer = wanted(
        optimizer__schedule="cosine", average={"checkpoints": 1, "every_steps": 100}, model__rope_scaling=None
    )
    newer["version"] = "2"
    with pytest.raises(InputError, match=r"settings: version was 1, is 2\. To go on with the change: --allow version;"):
        start(tmp_path, "b", newer)
    newer["recipe"]["average"]["checkpoints"] = 3
    with pytest.raises(InputError, match=r"version was 1, is 2; average\.checkpoints was not there, is 3"):
        start(tmp_path, "b", newer, "version")
    newer["recipe"]["average"]["checkpoints"] = 1
    assert (start(tmp_path, "b", newer, "version") / "weeks of work").exists()


@pytest.mark.parametrize("change", [{"model__layers": 5}, {"seed": 2}])
def test_another_model_or_order_of_samples_cannot_be_allowed(tmp_path: Path, change: dict[str, Any]) -> None:
    start(tmp_path, "a", wanted())
    key = next(iter(change)).replace("__", ".")
    with pytest.raises(InputError, match=f"{key} cannot change in a running train"):
        start(tmp_path, "b", wanted(**change), key)


def test_again_begins_anew_and_leaves_the_other_alone(tmp_path: Path) -> None:
    old = start(tmp_path, "a", wanted())
    new = start(tmp_path, "b", wanted(seed=2), begin_again=True)
    assert old.exists()
    assert new != old


def test_differences_name_keys_as_recipes_do() -> None:
    assert differences(wanted(), wanted()) == {}
    other = {**wanted(), "inputs": {"tokenize": "bb"}, "version": "2"}
    assert differences(wanted(), other) == {"inputs.tokenize": ("aa", "bb"), "version": ("1", "2")}


def test_work_of_a_phase_is_not_taken_for_the_main_training(tmp_path: Path) -> None:
    begin("train-anneal", tmp_path / f"train-anneal-{'a' * 12}", wanted(), (), begin_again=False)
    start(tmp_path, "b", wanted(seed=2))
