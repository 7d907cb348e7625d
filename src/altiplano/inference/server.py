"""Start an OpenAI-compatible server for a release folder."""

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from altiplano.errors import InputError
from altiplano.inference import selftest
from altiplano.inference.language_model import load_language_model
from altiplano.progress import track
from altiplano.records import StageManifest
from altiplano.storage import Damaged, digest

LOCAL = ("127.0.0.1", "localhost", "::1")
CPU = torch.device("cpu")


def serve(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    device: torch.device = CPU,
    dtype: torch.dtype = torch.float32,
    key: str = "",
    names: Sequence[str] = (),
) -> None:
    """Load, self-test, and answer until interrupted. Raises InputError, for a port in use before anything is loaded.

    ``key``: that requests must bring (Authorization: Bearer KEY). ``names``: host names that the server is called by,
    beside this machine's own.
    """
    try:
        import uvicorn

        from altiplano.inference.limits import CONNECTIONS, SHUTDOWN_SECONDS, TimedProtocol
        from altiplano.inference.service import application
    except ImportError as error:
        raise InputError(f'serving needs {error.name}: pip install "altiplano[serving]"') from error
    with _listen(host, port) as listener:
        verify_release(folder)
        served = load_language_model(folder, dtype).to(device)
        difference = selftest.check(served)
        print(f"self-test passed: within {difference:.1e} nats of the trained model", file=sys.stderr)
        address = f"[{host}]" if ":" in host else host
        port = listener.getsockname()[1]
        print(f"serving {served.name} on http://{address}:{port}/v1", file=sys.stderr, flush=True)
        local = host in LOCAL
        if not local and not key:
            print(f"warning: anybody who reaches {address} can use this model: give --api-key", file=sys.stderr)
        hosts = [*LOCAL, *names] if local or names else ["*"]
        config = uvicorn.Config(
            application(served, key, hosts),
            log_level="warning",
            http=TimedProtocol,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[listener])


def verify_release(folder: Path) -> None:
    """Raise InputError, naming the file, when a release is not what was published; other folders have no manifest."""
    release = folder / "release" if (folder / "release" / "config.json").exists() else folder
    if not (release / "manifest.json").exists() or not (release / "config.json").exists():
        return
    try:
        manifest = StageManifest.read(release / "manifest.json")
    except (Damaged, OSError) as error:
        raise InputError(f"{release / 'manifest.json'} is damaged ({error}); release again") from error
    for name, written in track([*manifest.outputs.items()], "checking the release", len(manifest.outputs)):
        if not (release / name).is_file() or digest(release / name) != written:
            raise InputError(f"{release / name} is not what was released; release again, or bring it back from a copy")


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
