"""After the release: errata and withdrawal. Both are written into the card, and the folder must be signed again."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from altiplano.errors import InputError
from altiplano.records import Notice, Notices
from altiplano.release.bundle import NOTICES, read_bundle, write_documents
from altiplano.storage import listed


def add_notice(folder: Path, kind: Literal["withdrawn", "erratum"], text: str) -> None:
    """Add a notice of today and write the documents anew. A withdrawn release loses its weights; the run keeps its own.

    Raises InputError when there is no text, or the release has been withdrawn already.
    """
    if not text.strip():
        raise InputError("say why in a sentence for the readers of the card")
    bundle = read_bundle(folder)
    if bundle.withdrawn is not None:
        raise InputError(f"{folder} was withdrawn on {bundle.withdrawn.date}: {bundle.withdrawn.text}")
    today = datetime.now(UTC).date().isoformat()
    Notices([*bundle.notices, Notice(kind=kind, date=today, text=" ".join(text.split()))]).write(folder / NOTICES)
    write_documents(folder)
    if kind == "withdrawn":
        for file in listed(folder, "*.safetensors*"):
            file.unlink()
