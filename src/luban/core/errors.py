"""The exception tree and the style of messages.

LubanError                a user can mend it; printed as one sentence, without a traceback
├── DataError             the data: unreadable, contradictory, too little
├── SchemaError           the columns asked for are not the columns found
├── ConfigError           a setting that is unknown, out of range or cannot be honoured
├── ArtifactError         a run directory that is missing, damaged or cannot be written
├── SampleError           a named sample that is unknown or cannot be fetched
├── CheckpointError       a pretrained checkpoint that is missing or of an unknown kind
├── ResourceError         too little memory, or no room for another thread or open file
└── TrainingError         a run that cannot go on
    └── StoppedError      a run that was told to stop, and can go on
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable

from luban.core.shown import LONGEST, shown


class LubanError(Exception):
    """A mistake that the user can mend.

    The message reads `WHERE: expected EXPECTED, found FOUND. ACTION.`, for instance
    `reviews.csv, row 412, column 'age': expected a number, found 'n/a'. Add it to data.missing_values.`
    It shows as it is in any terminal or page, and its length is bounded, whatever it quotes.
    exit_code: of the command line.
    """

    exit_code = 1

    def __init__(self, where: str, *, expected: str, found: str, action: str) -> None:
        self.where, self.expected, self.found, self.action = where, expected, found, action
        said = [shown(" ".join(part.split()), limit=LONGEST) for part in (where, expected, found, action.rstrip("."))]
        super().__init__("{}: expected {}, found {}. {}.".format(*said))


class DataError(LubanError):
    """The data cannot be read, contradict themselves, or are too few."""


class SchemaError(LubanError):
    """The columns asked for are not the columns found."""


class ConfigError(LubanError):
    """A setting is unknown, out of range or cannot be honoured."""


class ArtifactError(LubanError):
    """A run directory is missing, damaged or cannot be written."""


class SampleError(LubanError):
    """A named sample is unknown or cannot be fetched."""


class CheckpointError(LubanError):
    """A pretrained checkpoint is missing or of a kind that is not known."""


class ResourceError(LubanError):
    """There is too little memory, or no room for another thread, process or open file."""


class TrainingError(LubanError):
    """A training run cannot go on."""


class StoppedError(TrainingError):
    """A training was stopped by a signal. run: its directory. signal: its name. step: after which all is saved."""

    def __init__(self, run: str, signal: str, number: int, step: int) -> None:
        self.exit_code = 128 + number
        super().__init__(
            run,
            expected="the training to reach its end",
            found=f"{signal} (all is saved, up to step {step})",
            action=f"Go on with `luban train --resume {typed(run)}`",
        )


def typed(argument: object) -> str:
    """Return an argument of a command as it is typed in a shell: in quotes where it holds blanks or other signs that
    mean something there, and bare where it is letters of any script."""
    text = str(argument)
    return text if re.fullmatch(r"[\w@%+=:,./-]+", text) else shlex.quote(text)


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return `Did you mean 'x'? ` for the nearest choice, or an empty string where none is near."""
    matches = difflib.get_close_matches(name.lower(), [choice.lower() for choice in choices], n=1, cutoff=0.6)
    by_lower = {choice.lower(): choice for choice in choices}
    return f"Did you mean '{by_lower[matches[0]]}'? " if matches else ""


def listed(names: Iterable[object], limit: int = 8) -> str:
    """Return `'a', 'b', 'c' and 4 more` for use in a message."""
    items = [f"'{name}'" for name in names]
    shown = ", ".join(items[:limit])
    return f"{shown} and {len(items) - limit} more" if len(items) > limit else shown
