"""One rank that torchrun starts, with faults: ``torchrun … under_torchrun.py JOB.json FAULTS.json``."""

import json
import os
import sys
from pathlib import Path

from faulty import Faults, install

from altiplano.training.job import Job
from altiplano.training.worker import run_job

if __name__ == "__main__":
    job = Job.model_validate_json(Path(sys.argv[1]).read_text())
    install(Faults(json.loads(Path(sys.argv[2]).read_text()), job.folder / "injected"))
    run_job(job)
    os._exit(0)
