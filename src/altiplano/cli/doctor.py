"""``altiplano doctor``: what is wrong with a model folder, or what this machine can do."""

import argparse
from pathlib import Path

from altiplano.cli.arguments import Commands, add_command
from altiplano.errors import InputError


def add(commands: Commands) -> None:
    doctor = add_command(
        commands,
        "doctor",
        "check a model folder for mistakes that other tools would not notice; or say what this machine is and can do",
        run,
        "examples:\n  altiplano doctor\n  altiplano doctor runs/quickstart/release\n"
        "  altiplano doctor --deep runs/quickstart\n"
        "  altiplano doctor --measure this-machine.toml\n\n"
        'A cluster file takes what was measured as chip = "this-machine.toml".',
    )
    doctor.add_argument(
        "model", type=Path, nargs="?", help="a Hugging Face Llama folder, or with --deep a run (default: this machine)"
    )
    doctor.add_argument(
        "--deep", action="store_true", help="of a run: verify every byte that its stages wrote, and its checkpoints"
    )
    doctor.add_argument(
        "--measure", type=Path, metavar="FILE", help="write what this machine can do: products, memory, disk"
    )


def run(options: argparse.Namespace) -> int:
    if options.measure:
        import torch

        from altiplano.training.accounting.hardware import hardware_file

        options.measure.write_text(hardware_file(torch.device("cuda" if torch.cuda.is_available() else "cpu")))
        print(options.measure)
        return 0
    if options.deep:
        from altiplano.stages.verify_run import problems_of_run

        if options.model is None:
            raise InputError("--deep verifies a run: name its folder, such as runs/quickstart")
        found = list(problems_of_run(options.model))
        print("\n".join(f"✗ {problem}" for problem in found) or f"✓ every byte of {options.model} is as it was written")
        return 1 if found else 0
    if options.model is None:
        from altiplano.training.accounting.hardware import describe_machine

        print("\n".join(describe_machine()))
        return 0
    from altiplano.release.validate import check

    problems = check(options.model)
    for problem in problems:
        print(f"✗ {problem}")
    if not problems:
        from altiplano.tokens.tokenizer import Tokenizer, adds_bos

        spoken = Tokenizer.load(options.model)
        begin = f"begin with {spoken.name_of(spoken.bos)}" if adds_bos(options.model, spoken) else "have no begin token"
        print(f"✓ {options.model} is sound; its texts {begin} and end with {spoken.name_of(spoken.eos)}")
    return 1 if problems else 0
