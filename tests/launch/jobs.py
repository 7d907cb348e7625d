"""A job with odd names, to be written for any place."""

import subprocess
from pathlib import Path
from typing import Any

from altiplano.launch.training_job import LaunchJob, launch_job
from altiplano.recipe.cluster import Cluster, LaunchConfig
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_recipe

ODD = 'runs/it\'s a "test" $(HOME) `x` ü'
ARGUMENTS = ["llama-3.1-8b", "--set=corpus.root=/a b/$c", "--workspace", ODD]


def job(launch: LaunchConfig | None = None, **changes: Any) -> LaunchJob:
    cluster = Cluster(
        name="test",
        device=changes.pop("device", "cuda"),
        devices=changes.pop("devices", 32),
        watts_per_device=1,
        launch=launch or LaunchConfig(devices_per_node=8, image="image:1", volume_claim="shared"),
    )
    layout = changes.pop("layout", Layout(dp=8, tp=4))
    recipe = load_recipe("llama-3.1-8b", ["name=llama-3.1-8b."])
    nodes, stage = changes.pop("nodes", None), changes.pop("stage", "train")
    return launch_job(recipe, cluster, layout, ARGUMENTS, Path(ODD), nodes, stage)


def check_bash(text: str) -> None:
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
