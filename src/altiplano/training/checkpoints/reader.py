"""Reading a checkpoint without running what is in it: PyTorch's index (``.metadata``) is a pickle.

A pickle may call any function of any module. An index needs a dozen names, which are looked up here; whatever else it
asks for is an attack or damage.
"""

import gc
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta

from altiplano.errors import InputError

INDEX = ".metadata"
ALLOWED = {
    "torch.distributed.checkpoint.metadata": {
        "BytesStorageMetadata",
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch": {"Size"},
    "torch.serialization": {"_get_layout"},
    "pathlib": {"PosixPath", "PurePosixPath"},
    "collections": {"OrderedDict"},
}


class CheckpointReader(FileSystemReader):
    """Raises InputError for an index that asks for anything but the parts of one, or for files outside its folder.

    The tensors' files are read by PyTorch with ``weights_only``. With ``index``, which was read before, the file is not
    read again: that of a large checkpoint takes long.
    """

    def __init__(self, path: Path, index: Metadata | None = None):
        super().__init__(path)
        self.index = index

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        found = self.index if self.index is not None else self._read_index()
        meta = getattr(found, "storage_meta", None) or StorageMeta()
        meta.load_id = self.load_id  # as FileSystemReader does
        found.storage_meta = meta
        return found

    def _read_index(self) -> Metadata:
        file = Path(self.path) / INDEX
        with file.open("rb") as stream, without_collection():
            try:
                found = _Unpickler(stream).load()
            except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, TypeError) as error:
                raise InputError(f"{file} is no checkpoint's index: {error}") from error
        if not isinstance(found, Metadata):
            raise InputError(f"{file} is no checkpoint's index")
        for info in (found.storage_data or {}).values():
            if (name := str(info.relative_path)) != Path(name).name:
                raise InputError(f"{file} names {name}, which is no file beside it: do not trust this checkpoint")
        return found


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and isinstance(found := getattr(torch, name, None), torch.dtype):
            return found
        if name in ALLOWED.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}: do not trust this checkpoint")


@contextmanager
def without_collection() -> Iterator[None]:
    """Half a million small objects that stay: the garbage collector would look through them again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
