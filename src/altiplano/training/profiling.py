"""A torch.profiler trace of chosen steps: open it in https://ui.perfetto.dev or chrome://tracing."""

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.profiler import ProfilerActivity, profile


class Profiler:
    """Records this rank from the first chosen step to the last; writes ``folder/rank-N-steps-A-B.json``."""

    def __init__(self, steps: range, folder: Path):
        self.steps, self.folder = steps, folder
        self.recording: Any = None

    def before(self, step: int) -> None:
        """``step`` counts from 1."""
        if step in self.steps and self.recording is None:
            activities = [ProfilerActivity.CPU]
            if torch.cuda.is_available():
                activities.append(ProfilerActivity.CUDA)
            self.recording = profile(activities=activities, record_shapes=True)
            self.recording.start()

    def after(self, step: int) -> None:
        if self.recording is not None and step + 1 not in self.steps:
            self.recording.stop()
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"rank-{dist.get_rank()}-steps-{self.steps.start}-{step}.json"
            self.recording.export_chrome_trace(str(self.folder / name))
            self.recording = None
            self.steps = range(0)
