"""A torch.profiler trace of chosen steps: open it in https://ui.perfetto.dev or chrome://tracing."""

from typing import Any

import torch
import torch.distributed as dist
from torch.profiler import ProfilerActivity, profile

from altiplano.records import StepMetrics
from altiplano.training.callbacks import Callback, TrainingRun
from altiplano.training.job import Job


class Profiler(Callback):
    """Records this rank from the job's first chosen step to the last; writes ``profile/rank-N-steps-A-B.json``."""

    def __init__(self, job: Job):
        self.steps = range(*job.profile) if job.profile else range(0)
        self.folder = job.folder / "profile"
        self.recording: Any = None

    def on_step_begin(self, run: TrainingRun) -> None:
        if run.step + 1 in self.steps and self.recording is None:
            activities = [ProfilerActivity.CPU]
            if torch.cuda.is_available():
                activities.append(ProfilerActivity.CUDA)
            self.recording = profile(activities=activities, record_shapes=True)
            self.recording.start()

    def on_step_end(self, run: TrainingRun, metrics: StepMetrics) -> None:
        if self.recording is not None and run.step + 1 not in self.steps:
            self.recording.stop()
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"rank-{dist.get_rank()}-steps-{self.steps.start}-{run.step}.json"
            self.recording.export_chrome_trace(str(self.folder / name))
            self.recording = None
            self.steps = range(0)
