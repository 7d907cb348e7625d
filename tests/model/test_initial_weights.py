"""Initial weights: normal, the same wherever they are drawn, and cheap to draw in part."""

import hashlib
import math
import os
import subprocess
import sys
from statistics import NormalDist

import pytest
import torch

from altiplano.model.initial_weights import _quantile, initial_value
from altiplano.recipe.load import load_recipe

SHAPE = load_recipe("quickstart").model
NAME, SIZE = "layers.0.mlp.up_proj.weight", torch.Size([300, 200])
HASH = "import hashlib, torch; from altiplano.model.initial_weights import initial_value as v; \
from altiplano.recipe.load import load_recipe as r; \
print(hashlib.sha256(v('layers.0.mlp.up_proj.weight', torch.Size([300, 200]), r('quickstart').model, 0)\
.numpy().tobytes()).hexdigest())"


def test_quantiles_are_those_of_the_normal_distribution() -> None:
    places = [2.0**-53, 1e-12, 1e-6, 0.01, 0.0749, 0.0751, 0.3, 0.5, 0.7, 0.9, 0.999, 1 - 2.0**-53]
    found = _quantile(torch.tensor(places, dtype=torch.float64))
    assert found.tolist() == pytest.approx([NormalDist().inv_cdf(place) for place in places], rel=1e-13)


def test_values_are_normal() -> None:
    z = initial_value(NAME, SIZE, SHAPE, seed=0).double().flatten() / SHAPE.initializer_range
    assert abs(float(z.mean())) < 4 / len(z) ** 0.5
    assert float(z.std()) == pytest.approx(1, abs=0.01)
    expected = torch.tensor([NormalDist().cdf(x) for x in z.sort().values.tolist()])
    distance = (expected - torch.arange(len(z)) / len(z)).abs().max()
    assert float(distance) < 1.95 / len(z) ** 0.5  # Kolmogorov and Smirnov, at one in a thousand


def test_a_part_is_the_part_of_the_whole() -> None:
    whole = initial_value(NAME, SIZE, SHAPE, seed=0)
    for where in ((slice(0, 1), slice(0, 200)), (slice(17, 300), slice(3, 77)), (slice(5, 5), slice(0, 200))):
        assert torch.equal(initial_value(NAME, SIZE, SHAPE, 0, where), whole[where])


def test_every_processor_draws_the_same_bits() -> None:
    """PyTorch's own kernels for AVX2 and for any processor; ``torch.randn`` differs between the two."""
    found = {hashlib.sha256(initial_value(NAME, SIZE, SHAPE, 0).numpy().tobytes()).hexdigest()}
    environment = os.environ | {"ATEN_CPU_CAPABILITY": "default"}
    ended = subprocess.run([sys.executable, "-c", HASH], env=environment, capture_output=True, text=True, check=True)
    found.add(ended.stdout.strip())
    assert found == {"82b7d5d33ddd83af4ffce68c332b0577d590c43d44f54e34001c06e96078210f"}


@pytest.mark.parametrize("name", ["llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b"])
def test_the_first_loss_is_near_that_of_a_guess(name: str) -> None:
    """The head sees vectors whose elements have a mean square of 1: with logits of deviation s the loss is about
    ln(vocabulary) + s² / 2. Here of a head as wide as the recipe's, for fewer tokens."""
    shape = load_recipe(name).model
    head = initial_value("lm_head.weight", torch.Size([2000, shape.hidden_size]), shape, seed=0)
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(1024, shape.hidden_size, generator=chance)
    x = torch.nn.functional.rms_norm(x, (shape.hidden_size,))
    loss = torch.nn.functional.cross_entropy(x @ head.T, torch.randint(0, 2000, (1024,), generator=chance))
    assert float(loss) - math.log(2000) < 1.1
