"""``altiplano redteam MODEL``, killed with kill -9 while it asks."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from altiplano.model.llama import Llama
from altiplano.model.safetensors_files import save_weights
from altiplano.model.weights import hugging_face_config
from altiplano.recipe.schema import ModelConfig
from altiplano.redteam.transcript import read_transcript
from altiplano.storage import write_json
from altiplano.tokens.tokenizer import Tokenizer


@pytest.mark.slow
def test_a_killed_red_team_goes_on_and_ends_with_the_same_result(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    tokenizer = Tokenizer.train(["the river sings under the old mountain road in summer and in winter " * 40], 544)
    shape = ModelConfig(
        num_hidden_layers=2,
        hidden_size=64,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=128,
        vocab_size=tokenizer.vocab_size,
    )
    torch.manual_seed(0)
    save_weights(Llama(shape).named_parameters(), model)
    tokenizer.save(model)
    write_json(model / "config.json", hugging_face_config(shape, 128, tokenizer.bos, tokenizer.eos))
    program = (
        "from altiplano.redteam import runner; runner.PORTION = 40\n"
        "from altiplano.cli import main; import sys; main(sys.argv[1:])"
    )

    def start(output: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", program, "redteam", str(model), "--trials", "4", "--output", str(output)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    killed = start(tmp_path / "killed")
    ends = time.monotonic() + 120
    while len(list((tmp_path / "killed").glob("transcript/*.parquet"))) < 2 and time.monotonic() < ends:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / "redteam.json").exists()
    kept = {file.name: file.stat().st_ino for file in (tmp_path / "killed" / "transcript").glob("*.parquet")}
    again, undisturbed = start(tmp_path / "killed"), start(tmp_path / "whole")
    assert again.wait() == undisturbed.wait() == 0
    for name, inode in kept.items():
        assert (tmp_path / "killed" / "transcript" / name).stat().st_ino == inode
    assert read_transcript(tmp_path / "killed") == read_transcript(tmp_path / "whole")
    assert (tmp_path / "killed" / "redteam.json").read_bytes() == (tmp_path / "whole" / "redteam.json").read_bytes()
