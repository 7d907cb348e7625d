"""A server process, over a real socket."""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from altiplano.errors import InputError
from altiplano.inference.server import serve, verify_release

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")

START = """
import sys, torch
from pathlib import Path
from altiplano.inference import limits
from altiplano.inference.server import serve
limits.SILENT_SECONDS = limits.BODY_SECONDS = 1.0
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
        line.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
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


def opened(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)))


def test_clients_that_say_nothing_or_little_are_let_go(address: str):
    silent = [opened(address) for _ in range(50)]
    for line in silent[25:]:
        line.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: loc")  # half a header
    slow = opened(address)
    slow.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{")
    assert httpx.get(f"{address}/health").status_code == 200
    for line in [*silent, slow]:
        line.settimeout(20)
    assert slow.recv(100).startswith(b"HTTP/1.1 408")
    assert all(line.recv(10) == b"" for line in silent)


def test_health_answers_while_a_costly_body_is_refused(address: str):
    body = json.dumps({"prompt": "a b" * 600_000}).encode()
    line = opened(address)
    line.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    waits = []
    for _ in range(20):
        began = time.monotonic()
        assert httpx.get(f"{address}/health").status_code == 200
        waits.append(time.monotonic() - began)
    assert sorted(waits)[10] < 1  # of a busy machine: not the two minutes that it took
    line.settimeout(30)
    assert line.recv(100).startswith(b"HTTP/1.1 400")


def test_a_release_that_was_changed_is_not_served(release: Path, tmp_path: Path):
    from altiplano.records import StageManifest
    from altiplano.storage import digest

    folder = tmp_path / "release"
    shutil.copytree(release, folder)
    outputs = {file.name: digest(file) for file in folder.iterdir() if file.is_file() and file.name != "manifest.json"}
    StageManifest(stage="release", version="0", recipe={}, inputs={}, outputs=outputs, counts={}, hash="of it").write(
        folder / "manifest.json"
    )
    verify_release(folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(InputError, match=r"model\.safetensors is not what was released"):
        serve(folder, port=0)
