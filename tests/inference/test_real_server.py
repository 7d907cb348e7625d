"""A server process, over a real socket."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from altiplano.errors import InputError
from altiplano.inference.server import serve

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")

START = """
import sys, torch
from pathlib import Path
from altiplano.inference.server import serve
torch.set_num_threads(1)
serve(Path(sys.argv[1]), port=0)
"""


@pytest.fixture(scope="module")
def address(release: Path):
    process = subprocess.Popen([sys.executable, "-c", START, str(release)], stderr=subprocess.PIPE, text=True)
    try:
        lines = [process.stderr.readline(), process.stderr.readline()]
        assert "self-test passed" in lines[0], lines
        yield lines[1].split(" on ")[1].strip().removesuffix("/v1")
    finally:
        process.terminate()
        process.wait(10)


def test_it_answers_streams_and_refuses(address: str):
    body = {"prompt": "The wind", "max_tokens": 8, "temperature": 0}
    whole = httpx.post(f"{address}/v1/completions", json=body).json()["choices"][0]["text"]
    said = ""
    with httpx.stream("POST", f"{address}/v1/completions", json={**body, "stream": True}) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    for line in lines[:-1]:
        said += json.loads(line.removeprefix("data: "))["choices"][0]["text"]
    assert said == whole
    assert httpx.post(f"{address}/v1/completions", json={"prompt": []}).status_code == 400


@pytest.mark.parametrize("streaming", [True, False])
def test_a_client_that_hangs_up_frees_the_model(address: str, streaming: bool):
    def cancelled() -> int:
        for line in httpx.get(f"{address}/metrics").text.splitlines():
            if line.startswith('altiplano_requests_total{status="cancelled"}'):
                return int(line.split()[-1])
        return 0

    before = cancelled()
    body = {"prompt": ["The"] * 100, "max_tokens": 250, "temperature": 1.0, "seed": 1, "stream": streaming}
    raw = json.dumps(body).encode()
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                     b"content-length: %d\r\n\r\n" % len(raw) + raw)  # fmt: skip
        if streaming:
            line.recv(100)
        else:
            time.sleep(0.1)
    for _ in range(100):
        if cancelled() > before:
            break
        time.sleep(0.05)
    assert cancelled() == before + 1
    assert "altiplano_requests_running 0" in httpx.get(f"{address}/metrics").text


def test_a_port_in_use_is_one_line_that_names_the_option(address: str, release: Path):
    port = int(address.rpartition(":")[2])
    with pytest.raises(InputError, match="--port") as refused:
        serve(release, port=port)
    assert "\n" not in str(refused.value)
