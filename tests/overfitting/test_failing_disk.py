"""What a failing disk hides is no reason to leave a test of overfitting out."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from altiplano.errors import InputError
from altiplano.overfitting.judge import _order
from altiplano.recipe.schema import Recipe


def test_shards_that_cannot_be_read_are_an_error_and_absent_ones_are_not(small_recipe: Recipe, tmp_path: Path) -> None:
    scores: Any = SimpleNamespace(tokenizer=SimpleNamespace(bos=0))
    assert _order(small_recipe, tmp_path, scores) is None
    (tmp_path / "shards.json").write_text('{"shards": [')
    with pytest.raises(InputError, match=r"shards\.json is damaged"):
        _order(small_recipe, tmp_path, scores)
    (tmp_path / "shards.json").unlink()
    (tmp_path / "shards.json").mkdir()  # cannot be read as a file, by root neither
    with pytest.raises(InputError, match=r"shards\.json cannot be read"):
        _order(small_recipe, tmp_path, scores)
