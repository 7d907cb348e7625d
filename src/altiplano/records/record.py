"""What records have in common: how they are read, written and refused."""

import math
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, ValidationError, WithJsonSchema

from altiplano import storage
from altiplano.errors import InputError

FORMAT_VERSION = "format_version"

Item = TypeVar("Item", bound="Record")
RecordType = TypeVar("RecordType", bound=BaseModel)

Number = int | float
"""A number that is written as it was given: 0 stays 0, 0.0 stays 0.0."""

Measured = Annotated[
    float,
    BeforeValidator(lambda value: math.nan if value is None else value),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]}),
]
"""A float that may be no number: NaN in memory, null in JSON, which has no NaN."""


class Record(BaseModel):
    """A JSON object in a file: a line of a JSON Lines file, or a part of something larger.

    What a writer did not set is not written. Keys that this version does not know are ignored.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    def as_json(self) -> dict[str, Any]:
        """Plain values, as ``json.dumps`` takes them."""
        return self.model_dump(mode="json", exclude_unset=True)

    def append(self, path: Path) -> None:
        """Write this record as the last line of a JSON Lines file."""
        storage.append_line(path, self.line())

    def line(self) -> str:
        return self.model_dump_json(exclude_unset=True)

    @classmethod
    def read_lines(cls, path: Path) -> list[Self]:
        """The records of a JSON Lines file, without a line that was cut short; [] when there is no file.

        Raises InputError when a line is of another shape, OSError when the file cannot be read.
        """
        return [_validated(cls, record, path) for record in storage.read_lines(path)]


class Interval(Record):
    """A value and its 95 % interval."""

    value: float = Field(description="Point estimate")
    low: float = Field(description="Lower end")
    high: float = Field(description="Upper end")


class FileRecord(Record):
    """A whole JSON file. ``format_version`` grows when an older Altiplano could no longer read it."""

    FORMAT: ClassVar[int] = 1
    CHECKED: ClassVar[bool] = False
    """Whether the file has a checksum of its own, as what is read from it determines weights."""
    ENSURE_ASCII: ClassVar[bool] = True

    format_version: int = Field(default=1, description="Format of this file; files without it are of format 1")

    def as_json(self) -> dict[str, Any]:
        return super().as_json() | {FORMAT_VERSION: self.FORMAT}

    def write(self, path: Path) -> None:
        """Publish this record: a kill leaves the old file or the new one."""
        if self.CHECKED:
            storage.write_checked(path, self.as_json())
        else:
            storage.write_json(path, self.as_json(), ensure_ascii=self.ENSURE_ASCII)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises Damaged when the file is not what was written, OSError when it cannot be read, and InputError when
        it is of a newer format or of a shape that this version does not know."""
        content = storage.read_checked(path) if cls.CHECKED else storage.read_json(path)
        written = content.get(FORMAT_VERSION, 1) if isinstance(content, dict) else 1
        if isinstance(written, int) and written > cls.FORMAT:
            raise InputError(
                f"{path} was written by a newer Altiplano (format {written}; this one reads up to {cls.FORMAT}): "
                "update altiplano"
            )
        return _validated(cls, content, path)


class ListRecord(RootModel[list[Item]], Generic[Item]):
    """A JSON file that is one array of records."""

    model_config = ConfigDict(frozen=True)

    def write(self, path: Path) -> None:
        storage.write_json(path, self.as_json(), ensure_ascii=False)

    def as_json(self) -> list[Any]:
        return self.model_dump(mode="json", exclude_unset=True)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises as ``FileRecord.read``; lists have no format version."""
        return _validated(cls, storage.read_json(path), path)


def _validated(model: type[RecordType], content: Any, path: Path) -> RecordType:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole of it"
        raise InputError(
            f"{path} was written by another version of Altiplano ({where}: {first['msg'].lower()}): "
            "compute the stage that writes it again (--force), or use that version"
        ) from error
