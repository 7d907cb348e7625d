"""Scaling laws and published practice."""

import pytest

from altiplano.planning.consistency.advice import advice, chinchilla_optimal, llama_optimal, loss
from altiplano.planning.consistency.claims import published_twin, usual
from altiplano.planning.plan import make_plan
from altiplano.recipe.load import load_cluster, load_recipe


def test_chinchilla_itself() -> None:
    """5.88e23 FLOP: 70B parameters and 1.4T tokens (Hoffmann et al. 2022)."""
    assert chinchilla_optimal(5.88e23) == (pytest.approx(70e9, rel=0.01), pytest.approx(1.4e12, rel=0.01))


def test_llama_itself() -> None:
    """3.8e25 FLOP: 16.55T tokens, and about 402B parameters (Grattafiori et al. 2024)."""
    parameters, tokens = llama_optimal(3.8e25)
    assert tokens == pytest.approx(16.55e12)
    assert parameters == pytest.approx(402e9, rel=0.06)


def test_loss_falls_with_either() -> None:
    """Hoffmann et al.'s formula at Chinchilla: 1.69 + 406.4 / 70e9^0.34 + 410.7 / 1.4e12^0.28 = 1.94."""
    assert loss(70e9, 1.4e12) == pytest.approx(1.937, abs=0.002)
    assert loss(70e9, 2.8e12) < loss(70e9, 1.4e12) > loss(140e9, 1.4e12)


def test_larger_models_have_smaller_rates_and_larger_batches() -> None:
    rates = [usual("learning_rate", size)[0] for size in (1e9, 1e10, 1e11, 1e12)]
    batches = [usual("batch_tokens", size)[0] for size in (1e9, 1e10, 1e11, 1e12)]
    assert rates == sorted(rates, reverse=True)
    assert batches == sorted(batches)
    twin = published_twin(405e9)
    assert twin is not None and twin[1]["learning_rate"] == 8e-5
    assert published_twin(3e9) is None


def test_advice_names_its_sources() -> None:
    hints = advice(make_plan(load_recipe("llama-3.1-405b"), load_cluster("h100-2048")))
    assert [hint["key"] for hint in hints] == ["size", "batch_tokens", "learning_rate"]
    assert "arXiv 2203.15556" in hints[0]["text"] and "8e-5" in hints[2]["text"]
