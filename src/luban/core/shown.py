"""Text of others as a terminal or a page may show it: what would steer or reorder what is shown stands escaped."""

from __future__ import annotations

import re
import reprlib

LONGEST = 2_000  # characters of a part of a message
BIDIRECTIONAL = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # the property Bidi_Control (Unicode Standard Annex 9)
UNSAFE = re.compile(f"[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ufff9-\\ufffb\\ud800-\\udfff{BIDIRECTIONAL}]")
NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shown(text: object, *, keep: str = "", limit: int | None = None) -> str:
    """Return text in which control characters, line separators, signs that turn the direction of writing and halves of
    surrogate pairs stand escaped, as `\\x1b` or `\\u202e`.

    keep: control characters that stay, such as the line feeds of a page. limit: characters of the text that are
    shown; what is cut out of its middle is marked by an ellipsis.
    """
    string = text if isinstance(text, str) else str(text)
    if limit is not None and len(string) > limit:
        string = f"{string[: limit - limit // 3]} … {string[-(limit // 3) :]}"
    return UNSAFE.sub(lambda found: found[0] if found[0] in keep else escaped(found[0]), string)


def as_page(text: str) -> bytes:
    """Return a page, a card or a drawing as its file has it: nothing in it is invisible or turns the direction."""
    return shown(text, keep="\t\n\r").encode()


def escaped(character: str) -> str:
    """Return the escape of a character, as Python writes it."""
    code = ord(character)
    return NAMED.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def is_safe(text: str) -> bool:
    """Return whether a text shows as it is."""
    return UNSAFE.search(text) is None


class Brief(reprlib.Repr):
    """A `repr` whose work and length are bounded, whatever it is of."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 4
        self.maxstring = self.maxother = self.maxlong = 60

    def repr_int(self, x: int, level: int) -> str:
        """Return the digits of a number, or how large it is where Python refuses to write them."""
        return repr(x) if x.bit_length() < 1024 else f"a number of {x.bit_length():,} bits"


def brief(value: object) -> str:
    """Return a value as a message quotes it, in at most 80 characters."""
    text = shown(Brief().repr(value))
    return text if len(text) <= 80 else f"{text[:79]}…"
