"""The command line: one file a command; here its help as a whole, and what becomes of errors."""

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from altiplano.cli import (
    audit,
    checkpoint,
    compare,
    doctor,
    forget,
    generate,
    inspect,
    launch,
    plan,
    power,
    recipe,
    rehearse,
    report,
    serve,
    stages,
    trace,
)
from altiplano.cli.arguments import GO_ON, complain
from altiplano.errors import (
    INTERRUPTED,
    InputError,
    StageFailed,
    TrainingError,
    explain_machine_error,
    explain_os_error,
    keep_streams,
)
from altiplano.storage import RESTORE, Damaged
from altiplano.version import __version__

COMMANDS = (
    stages,
    recipe,
    checkpoint,
    forget,
    audit,
    plan,
    rehearse,
    launch,
    inspect,
    trace,
    report,
    compare,
    power,
    generate,
    serve,
    doctor,
)
"""In the order of the help."""

RENAMED = {"--again": "--force", "--view": "--log-to"}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="altiplano",
        description="From raw text to a released Llama-class base model, by one recipe.",
        epilog="altiplano COMMAND --help explains a command. Start with: altiplano run recipes/quickstart.toml",
    )
    top.add_argument("--version", action="version", version=f"altiplano {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> None:
    keep_streams()
    try:
        code = run(sys.argv[1:] if arguments is None else arguments)
    except Exception:
        # The interpreter would wait for threads, and one that saves waits for ranks that may be gone.
        traceback.print_exc()
        code = 1
    with contextlib.suppress(OSError):  # whoever read it is gone
        sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: an interpreter that shuts down after gloo sometimes aborts in its threads.
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    for argument in arguments:
        if (old := argument.partition("=")[0]) in RENAMED:
            return complain(f"{old} is now called {RENAMED[old]}", 2)
    options = parser().parse_args(arguments)
    options.arguments = [*arguments]
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except InputError as error:
        return complain(str(error), 2)
    except TrainingError as error:
        return complain(str(error), 1)
    except StageFailed as error:
        is_to_say = error.code == INTERRUPTED and os.environ.get("RANK", "0") == "0"
        return complain(GO_ON, INTERRUPTED) if is_to_say else error.code
    except KeyboardInterrupt:
        return complain(GO_ON if command in (stages.run, trace.run, power.run) else "interrupted", INTERRUPTED)
    except BrokenPipeError:
        return 1
    except OSError as error:
        explanation = explain_os_error(error)
        return complain(explanation, 2) if explanation else complain(explain_machine_error(error), 1)
    except MemoryError as error:
        return complain(explain_machine_error(error), 1)
    except Damaged as error:
        return complain(f"{error}: {RESTORE}", 2)
