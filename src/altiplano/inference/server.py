"""Start an OpenAI-compatible server for a release folder."""

import socket
import sys
from pathlib import Path

import torch

from altiplano.errors import InputError
from altiplano.inference import selftest
from altiplano.inference.language_model import load_language_model

CPU = torch.device("cpu")


def serve(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    device: torch.device = CPU,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Load, self-test, and answer until interrupted. Raises InputError, for a port in use before anything is loaded."""
    try:
        import uvicorn

        from altiplano.inference.service import application
    except ImportError as error:
        raise InputError(f'serving needs {error.name}: pip install "altiplano[serving]"') from error
    with _listen(host, port) as listener:
        served = load_language_model(folder, dtype).to(device)
        difference = selftest.check(served)
        print(f"self-test passed: within {difference:.1e} nats of the trained model", file=sys.stderr)
        address = f"[{host}]" if ":" in host else host
        port = listener.getsockname()[1]
        print(f"serving {served.name} on http://{address}:{port}/v1", file=sys.stderr, flush=True)
        uvicorn.Server(uvicorn.Config(application(served), log_level="warning")).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # until someone listens, a second bind would succeed
    except (OSError, OverflowError) as error:
        listener.close()
        raise InputError(f"cannot serve on {host}:{port} ({error}); choose another port with --port") from error
    return listener
