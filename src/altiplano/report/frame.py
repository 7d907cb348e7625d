"""What all pages have in common: one file, no request to any other place, no script but ours."""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from altiplano.version import __version__

HERE = Path(__file__).parent


def render_page(template: str, **values: Any) -> str:
    """A template of this folder with the style, the script and when it was made."""
    environment = Environment(
        loader=FileSystemLoader(HERE), undefined=StrictUndefined, autoescape=True, trim_blocks=True
    )
    return environment.get_template(template).render(
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((HERE / "page.js").read_text(encoding="utf-8")),
        nonce=secrets.token_urlsafe(16),  # text that ends up in a page does not know it, so it cannot be a script
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        **values,
    )
