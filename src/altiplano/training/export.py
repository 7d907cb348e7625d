"""The export of a finished training as a job of its own: the ranks that trained have ended and hold no device.

``python -m altiplano.training.export JOB.json [PARENT]`` forks processes for it on this machine; under torchrun
(``altiplano export``) its ranks are these processes. They need no device and speak over gloo.
"""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from altiplano.errors import Fault, InputError, explain_machine_error, explain_os_error
from altiplano.parallel.mesh import start_processes
from altiplano.parallel.processes import die_with_parent, fork_until_stopped
from altiplano.storage import Damaged, write_json
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.checkpoints import checkpoint
from altiplano.training.checkpoints.export import export_dtype, export_files, export_weights
from altiplano.training.job import Job

PATIENCE = timedelta(hours=12)
"""One process may have a file more to write than another; that one has died is noticed by who started it."""


def write_weights(job: Job, *, verify: bool) -> None:
    """``weights/`` of the last step's checkpoint, or of the mean that the recipe says, on all processes of the process
    group together. Raises InputError when one of those is missing."""
    tokenizer = Tokenizer.load(job.tokens / "tokenizer")
    found = checkpoint.to_average(job.folder / "checkpoints", job.recipe.averaged)
    digests = export_weights(found, job.recipe, tokenizer, job.folder / "weights", verify=verify)
    if not dist.is_initialized() or dist.get_rank() == 0:
        write_json(job.folder / checkpoint.DIGESTS, digests)


def under_torchrun(job: Job) -> None:
    """As one of torchrun's ranks."""
    start_processes("cpu", PATIENCE)
    write_weights(job, verify=True)
    dist.barrier()


def in_forked_processes(job: Job, *, verify: bool) -> int:
    """On as many processes of this machine as there are cores and files; the exit code.

    The caller must have used no threads. Ctrl-C and SIGTERM end it: the same command begins the export again.
    """
    files = len(export_files(job.recipe.model, export_dtype(job.recipe)))
    return fork_until_stopped(max(1, min(files, os.cpu_count() or 1)), lambda: _rank(job, verify))


def _rank(job: Job, verify: bool) -> int:
    torch.set_num_threads(1)
    try:
        if int(os.environ["WORLD_SIZE"]) > 1:
            start_processes("cpu", PATIENCE)
        write_weights(job, verify=verify)
        if dist.is_initialized():
            dist.barrier()
    except (InputError, Damaged, Fault) as error:
        return _complain(str(error), 1 if isinstance(error, Fault) else 2)
    except OSError as error:
        return _complain(explain_os_error(error) or explain_machine_error(error), 2)
    except MemoryError as error:
        return _complain(explain_machine_error(error), 1)
    return 0


def _complain(text: str, code: int) -> int:
    print(f"altiplano: {text}", file=sys.stderr)
    return code


def main() -> int:
    die_with_parent(int(sys.argv[2]) if len(sys.argv) > 2 else None)
    return in_forked_processes(Job.model_validate(json.loads(Path(sys.argv[1]).read_text())), verify=True)


if __name__ == "__main__":
    sys.exit(main())
