"""Files behind URLs, listed through fsspec: a file, a folder or a glob on ``s3://``, ``gs://``, ``hf://``, ``https://``."""

from typing import Any

from altiplano.corpus.sources.opening import fsspec
from altiplano.errors import InputError
from altiplano.recipe.schema import Source

VERSIONS = ("ETag", "etag", "sha256", "blob_id", "generation", "mtime", "LastModified", "last_modified", "created")
"""What file systems call the thing that changes when a file does; the first that is there counts."""


def files(source: Source) -> list[tuple[str, int, str]]:
    """``(URL, size in bytes, version)``, sorted. The version is empty where the server tells none.

    Raises InputError when the place cannot be listed.
    """
    try:
        system, path = fsspec().core.url_to_fs(source.path)
        if any(sign in source.path for sign in "*?["):
            found = system.glob(path, detail=True)
        else:
            info = system.info(path)
            found = system.find(path, detail=True) if info["type"] == "directory" else {path: info}
    except InputError:
        raise
    except Exception as error:  # every file system raises errors of its own
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise InputError(f"corpus.sources {source.name!r}: path {source.path!r} cannot be listed: {reason}") from error
    return sorted(
        (system.unstrip_protocol(name), int(info.get("size") or 0), _version(info))
        for name, info in found.items()
        if info["type"] == "file"
    )


def _version(info: dict[str, Any]) -> str:
    return next((str(info[key]) for key in VERSIONS if info.get(key)), "")
