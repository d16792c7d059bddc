"""The one error of files that cannot be decoded, and the reasons that it gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from luban.core.sentence import Sentence, sentence

LONGEST_REASON = 160  # characters of what a decoder says


class UnreadableCellError(Exception):
    """A cell that cannot be read; the message is the reason, for `Encoded.bad`."""

    def __init__(self, reason: Sentence) -> None:
        super().__init__(reason)


def damaged(error: Exception) -> UnreadableCellError:
    """Return the error for whatever a decoder of damaged files has stumbled over."""
    said = str(getattr(error, "error_string", None) or error)  # soundfile's own text names the place in memory
    first = next((line for line in said.splitlines() if line.strip()), type(error).__name__)
    reason = sentence("cell.damaged", "the file cannot be decoded ({error})", error=first[:LONGEST_REASON])
    return UnreadableCellError(reason)


@contextmanager
def decoding() -> Iterator[None]:
    """Turn whatever a decoder raises into an UnreadableCellError."""
    try:
        yield
    except UnreadableCellError:
        raise
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        raise damaged(error) from error
