"""Columns that name a row and say nothing about it: set aside, never an input of a network."""

from __future__ import annotations

import re

import polars as pl

from luban.core.sentence import Sentence, sentence
from luban.features.base import ColumnProfile
from luban.features.cells import share, strings
from luban.features.number import NumberFeature, parse_numbers

KIND = "identifier"

# `user_id`, `ID`, `PassengerId`, 订单编号; not `paid` or `valid`. `Unnamed: 0`, `__index_level_0__` and no name are
# what pandas and R make of the numbers of rows.
NAME = re.compile(
    r"(^|[\W_])(id|ids|uuid|guid|uid|ID|Id|UUID|GUID|UID)$|[a-z](Id|ID)$|(?i:^(index|key|rowid|row_number)$)"
    r"|^(Unnamed: 0(\.\d+)?|__index_level_\d+__)?$|编号|序号|主键|学号|工号|单号"
)
UUID = r"^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$"
TOKEN = r"^[A-Za-z0-9_:.#/\-]*\d[A-Za-z0-9_:.#/\-]*$"  # 'AB-1234', 'user17': no spaces, and a digit
TOKEN_CHARACTERS = 64
PATTERN_SHARE = 0.95
NEARLY = 0.95  # of the values are different


def is_identifier_name(name: str) -> bool:
    """Return whether the name alone says that the cells name things."""
    return NAME.search(name) is not None


def is_whole(sample: pl.Series) -> bool:
    """Return whether all cells are whole numbers; a reader turns integers into floats where some are missing."""
    if sample.dtype.is_integer():
        return True
    return sample.dtype.is_float() and len(sample) > 0 and bool((sample == sample.floor()).all())


def is_nearly_unique(profile: ColumnProfile) -> bool:
    """Return whether nearly every cell is different, so that a value says nothing about other rows."""
    num_cells = profile.num_rows - profile.num_missing
    return num_cells >= 2 and profile.num_unique >= NEARLY * num_cells


def match(profile: ColumnProfile) -> float:
    """Return how surely (0 to 1) the column only names its rows."""
    # Paths of images are different in every row, too; a number is surer to be one than to be an id.
    sureness = 0.91 if is_whole(profile.sample) or NumberFeature.match(profile) else 0.88
    return sureness if explain(profile) else 0.0


def explain(profile: ColumnProfile) -> Sentence:
    """Return why the column only names its rows, in a few words; an empty one where it does not."""
    sample = profile.sample
    if not is_nearly_unique(profile):
        return Sentence()
    is_unique = profile.num_unique == profile.num_rows - profile.num_missing
    is_named = is_identifier_name(profile.name)
    if sample.dtype == pl.String:
        numbers, _ = parse_numbers(sample)
        if not NumberFeature.match(profile):
            return _explain_strings(strings(sample), is_named, is_unique)
        sample = pl.Series(numbers)
    if not is_whole(sample):
        return Sentence()
    if is_named:
        return _an_id()
    first, last = int(sample[0]), int(sample[-1])
    counts = is_unique and first in (0, 1) and last < first + profile.num_rows and sample.is_sorted()
    return sentence("why.counts", "counts the rows") if counts else Sentence()


def _an_id() -> Sentence:
    return sentence("why.id", "an id: nearly every value is different")


def _explain_strings(cells: pl.Series, is_named: bool, is_unique: bool) -> Sentence:
    if share(cells.str.contains(UUID)) >= PATTERN_SHARE:
        return sentence("why.uuid", "a UUID or a hash a row")
    if (cells.str.len_chars() > TOKEN_CHARACTERS).any() or cells.str.contains(r"\s").any():
        return Sentence()
    if is_unique and share(cells.str.contains(TOKEN)) >= PATTERN_SHARE:
        return sentence("why.code", "a code a row: every value is different")
    return _an_id() if is_named else Sentence()
