"""The command line: the table of commands, and what an error becomes."""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated, Any

import typer

from luban.commands.audit import audit
from luban.commands.compare import compare
from luban.commands.demo import demo
from luban.commands.doctor import doctor
from luban.commands.evaluate import evaluate
from luban.commands.explain import explain
from luban.commands.find_lr import find_lr
from luban.commands.predict import predict
from luban.commands.report import report
from luban.commands.runs import runs
from luban.commands.samples import samples
from luban.commands.trace import trace
from luban.commands.train import train
from luban.core.errors import LubanError, ResourceError
from luban.core.machine.address_space import check_room_to_load
from luban.core.printing import take_streams
from luban.core.shown import LONGEST, shown
from luban.core.system_errors import last_resort, means_memory
from luban.core.version import VERSION

COMMANDS = (train, audit, find_lr, predict, evaluate, trace, compare, report, runs, explain, samples, demo, doctor)
"""In the order of `luban --help`."""

NO_MEMORY = b"luban: this process: expected enough memory, found too little. Close other programs.\n"

app = typer.Typer(
    name="luban",
    help="From raw data to a trained, checked and usable deep model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(value: bool) -> None:
    if value:
        typer.echo(f"luban {VERSION}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, anywhere on the line.")
    ] = False,
) -> None:
    """From raw data to a trained, checked and usable deep model."""
    check_room_to_load()


for command in COMMANDS:
    app.command()(command)


def rest_collector() -> None:
    """Let the collector of reference cycles look less often at the million objects that imports make, and that stay."""
    gc.set_threshold(50_000)


def main() -> None:
    """Run the command line; a mistake of the user's prints one sentence and exits with 1."""
    rest_collector()
    take_streams()
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    from luban.report.wrapping import tell

    try:
        sys.exit(app(standalone_mode=False))
    except BrokenPipeError:
        sys.exit(0)  # whoever reads has seen enough
    except LubanError as error:
        if debug:
            raise
        tell(f"luban: {error}", "red")
        sys.exit(ended(error))
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # the panics of Polars are no Exception
        if hasattr(error, "format_message"):  # a mistake on the command line, which typer's own class stands for
            misused(error)
        if debug:
            raise
        sys.exit(told(error))


def told(error: BaseException) -> int:
    """Say in one sentence what nothing else has caught, and return the exit code."""
    from luban.report.wrapping import tell

    error.__traceback__ = None  # gives back what its frames hold
    try:
        refused = last_resort(error)
        if refused is not None:
            tell(f"luban: {refused}", "red")
            return ended(refused)
        tell(f"luban: an error of Luban's own, {type(error).__name__}: {shown(error, limit=LONGEST)}", "red")
        tell("Add --debug to see where, and report what it prints.", None)
    except Exception as second:
        if not means_memory(second):
            raise
        os.write(2, NO_MEMORY)  # takes none
        os._exit(1)
    return 2


def ended(error: LubanError) -> int:
    """Return the exit code; where memory was short, end at once: libraries that find none at their end would crash."""
    if isinstance(error, ResourceError):
        sys.stdout.flush()
        os._exit(error.exit_code)
    return error.exit_code


def misused(error: Any) -> None:
    """Print what is wrong with a command, the words of it shown escaped, and exit with 2."""
    from typer.rich_utils import rich_format_error

    error.message = shown(error.message, keep="\n", limit=LONGEST)
    rich_format_error(error)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
