"""Every byte of a run, read and compared with what its stages and checkpoints say that they wrote."""

from collections.abc import Iterator
from pathlib import Path

from altiplano.errors import InputError
from altiplano.records.run_records import STAGES, TRAIN
from altiplano.stages.stage import differing, read_manifest
from altiplano.storage import Damaged, listed
from altiplano.training.checkpoints import checkpoint, inspection


def problems_of_run(workspace: Path) -> Iterator[str]:
    """What is wrong with each published stage and each checkpoint, one line a file. Raises InputError for a folder that
    is none of a run's."""
    there = [name for name in STAGES if (workspace / name).is_dir()]
    there += [path.name for path in listed(workspace, f"{TRAIN}-*") if (path / "manifest.json").exists()]  # phases
    if not there:
        raise InputError(f"{workspace} is not the folder of a run: no stage was published in it")
    for name in there:
        folder = workspace / name
        try:
            manifest = read_manifest(folder)
            if manifest is None:
                yield f"{folder}: manifest.json is missing"
                continue
            for problem in differing(folder, manifest, deep=True):
                yield f"{folder}: {problem}"
        except Damaged as error:
            yield f"{folder}: {error}"
        except OSError as error:
            yield f"{folder}: {error.filename or 'a file'} cannot be read ({error.strerror})"
    for place in inspection.folders(workspace):
        for one in checkpoint.saved(place):
            if problem := checkpoint.check(one).problem:
                yield f"{one}: {problem}"
