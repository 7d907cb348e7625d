"""``altiplano serve``: a model behind OpenAI's completions protocol."""

import argparse
import os
from pathlib import Path

from altiplano.cli.arguments import MODEL, Commands, add_command, add_device


def add(commands: Commands) -> None:
    serve = add_command(
        commands,
        "serve",
        "serve a model with OpenAI's completions protocol",
        run,
        "example:\n  altiplano serve runs/quickstart/release --port 8000\n"
        '  curl -s 127.0.0.1:8000/v1/completions -d \'{"prompt": "def ", "max_tokens": 16}\'',
    )
    serve.add_argument("model", type=Path, help=MODEL)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    serve.add_argument("--port", type=int, default=8000, help="TCP port (default: 8000)")
    serve.add_argument(
        "--api-key",
        default=os.environ.get("ALTIPLANO_API_KEY", ""),
        metavar="KEY",
        help="that requests must bring: Authorization: Bearer KEY (default: ALTIPLANO_API_KEY; none: no key)",
    )
    serve.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that clients call this server by, beside this machine's own (default: any, where --host is not "
        "local)",
    )
    add_device(serve)


def run(options: argparse.Namespace) -> int:
    import torch

    from altiplano.inference.device import choose_device
    from altiplano.inference.server import serve
    from altiplano.release.convert import as_model_folder

    device, dtype = choose_device(options.device), getattr(torch, options.precision)
    with as_model_folder(options.model) as model:
        serve(model, options.host, options.port, device, dtype, options.api_key, options.allowed_host)
    return 0
