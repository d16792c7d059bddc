"""One value in several spellings: `True` and `TRUE`, `1` and `1.0`, composed and decomposed accents, widths, blanks."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import polars as pl

from luban.features.cells import commonest

PAIRS = (("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("1", "0"), ("是", "否"))
TRUE_WORDS, FALSE_WORDS = (frozenset(pair[side] for pair in PAIRS) for side in (0, 1))
BOOLEAN_WORDS = TRUE_WORDS | FALSE_WORDS
# Full-width letters, digits and marks, and half-width katakana: what Unicode calls compatibility forms of width alone.
WIDTHS = re.compile("[\uff01-\uff5e\uff61-\uff9f\uffe0-\uffe6\u3000]+")
UNSEEN_BLANKS = "\u200b\u2060\ufeff"
SUSPECT = r"[^\x00-\x7f]|^[-+]?\d+\.0*$|^\+\d+$|^-?0\d*$"
NUMBER = re.compile(r"([-+]?)([0-9]+)(?:\.0*)?")


@dataclass(frozen=True)
class Spelling:
    """How the values of a column are told apart.

    are_booleans: whether they are true and false, in any words for these. has_words: whether such words stand among
    other values. width: of codes with leading zeros, all equally long; 0 where '01' is the number 1.
    """

    are_booleans: bool = False
    has_words: bool = False
    width: int = 0

    @classmethod
    def of(cls, values: Iterable[str]) -> Self:
        """Learn it from the different values of a column."""
        forms = {_evened(value) for value in values}
        numbers = {form for form in forms if NUMBER.fullmatch(form)}
        lengths = {len(form) for form in numbers}
        is_padded = len(lengths) == 1 and any(len(form) > 1 and form.startswith("0") for form in numbers)
        words = {_number(form, 0).casefold() for form in forms} & BOOLEAN_WORDS
        others = {form for form in forms if _number(form, 0).casefold() not in BOOLEAN_WORDS}
        has_both = bool(words & TRUE_WORDS) and bool(words & FALSE_WORDS)
        long_words = {word for word in words if len(word) > 1}
        return cls(
            are_booleans=has_both and not others,
            has_words=bool(others) and bool(long_words & TRUE_WORDS) and bool(long_words & FALSE_WORDS),
            width=lengths.pop() if is_padded else 0,
        )

    def form(self, value: str) -> str:
        """Return what all spellings of a value have in common."""
        form = _number(_evened(value), self.width)
        word = form.casefold()
        if (self.are_booleans and word in BOOLEAN_WORDS) or (
            self.has_words and word in BOOLEAN_WORDS and (len(word) > 1 or not word.isascii())
        ):
            return "true" if word in TRUE_WORDS else "false"
        return form


def alike(cells: pl.Series) -> dict[str, str]:
    """Return, for the stripped strings of a column, each value that is another's in a rarer spelling, and that one."""
    ordered = commonest(cells).to_list()
    spelling = Spelling.of(ordered)
    by_form: dict[str, list[str]] = defaultdict(list)
    for value in ordered:
        by_form[spelling.form(value)].append(value)
    shown = {form: same[0] for form, same in by_form.items()}
    if spelling.are_booleans and len(by_form) == 2:  # a pair, and not True and 0
        first = spelling.form(ordered[0])
        (other,) = by_form.keys() - {first}
        shown[other] = min(by_form[other], key=lambda value: not _are_a_pair(ordered[0], value))
    return {value: shown[form] for form, same in by_form.items() for value in same if value != shown[form]}


def known(cells: pl.Series, values: Sequence[str]) -> dict[str, str]:
    """Return, for the stripped strings of a column, each value that is one of `values` in another spelling, and that
    one."""
    new = cells.drop_nulls().unique().sort()
    new = new.filter(~new.is_in(list(values)))
    if not len(new) or not len(values):
        return {}
    spelling = Spelling.of(values)
    by_form = {spelling.form(value): value for value in reversed(values)}
    found = {value: by_form.get(spelling.form(value)) for value in new.to_list()}
    return {value: same for value, same in found.items() if same is not None}


def respelled(cells: pl.Series, meant: Mapping[str, str]) -> pl.Series:
    """Return cells with each value as it is meant."""
    return cells.replace(list(meant), list(meant.values())) if meant else cells


def likely_cause(new: Iterable[str], values: Sequence[str]) -> tuple[str, str, str] | None:
    """Return how values that training did not have differ from those that it had, in a word for `difference`, and a
    pair of them; None where they differ in more than case, accents, or blanks and marks."""
    unknown = list(new)
    for name, plainly in DIFFERENCES:
        by_form = {plainly(value): value for value in reversed(values)}
        same = [(value, by_form[plainly(value)]) for value in unknown if plainly(value) in by_form]
        if 2 * len(same) >= len(unknown) and same:
            return name, *same[0]
    return None


def _are_a_pair(one: str, other: str) -> bool:
    """Whether two words are opposites of one kind and case."""
    words = {_number(_evened(word), 0).casefold() for word in (one, other)}
    return any(words == set(pair) for pair in PAIRS) and one.isupper() == other.isupper()


def suspect(frame: pl.DataFrame, columns: Collection[str]) -> list[str]:
    """Return, quickly, the columns of strings in which a value may be another one in another spelling: few are."""
    names = [name for name in columns if frame[name].dtype == pl.String]
    cells = pl.col(names).str.strip_chars()
    is_suspect = cells.str.contains(SUSPECT) | cells.str.to_lowercase().is_in(list(BOOLEAN_WORDS))
    found = frame.select(is_suspect.any()) if names else pl.DataFrame()
    return [name for name in found.columns if found[name][0]]


def _evened(value: str) -> str:
    """Return a value in one width, composed, without the blanks around it."""
    if value.isascii():
        return value.strip()
    narrow = WIDTHS.sub(lambda found: unicodedata.normalize("NFKC", found[0]), value)
    return unicodedata.normalize("NFC", narrow).strip().strip(UNSEEN_BLANKS).strip()


def _number(form: str, width: int) -> str:
    """Return a whole number without the zeros that say nothing, other values as they are: '1.10' and '1.1' may be
    versions."""
    found = NUMBER.fullmatch(form)
    if found is None:
        return form
    sign, digits = found.groups()
    whole = digits.lstrip("0") or "0"
    if width and sign != "-":
        return whole.zfill(width)
    return f"-{whole}" if sign == "-" and whole != "0" else whole


def _without_accents(value: str) -> str:
    parts = unicodedata.normalize("NFKD", value)
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


DIFFERENCES = (
    ("case", lambda value: value.casefold()),
    ("accents", _without_accents),
    ("blanks and marks", lambda value: re.sub(r"[\W_]+", "", value).casefold()),
)
