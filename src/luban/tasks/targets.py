"""What the cells of a target column say, whatever type their reader gave them: CSV files give strings for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import polars as pl

from luban.core.errors import ConfigError, DataError, listed, nearest
from luban.core.sentence import Sentence, sentence
from luban.data.table import REJECTED_LIMIT, Table
from luban.features.base import ColumnProfile
from luban.features.cells import quoted, shortened
from luban.features.infer import profile
from luban.features.number import parse_numbers
from luban.features.parsing.columns import in_one_writing
from luban.features.parsing.recognised import difference
from luban.tasks.base import Floats, LossConfig, LossOfLabels, Task

MISSING = "the target is missing"
INFINITE = "the target is infinite"
ALIKE = 0.9  # of the rows, from which on two columns of lists are words and their tags
NUMERIC_SHARE = 0.95  # of the cells must read as numbers for a target of strings to be one of numbers
MAX_INTEGER_CLASSES = 20  # integers with more distinct values are quantities
MOST_INTEGER_CLASSES = 1000  # beyond, nobody means classes
TOLD_LABELS = 8
MANY_ROWS = 10  # from here on, labels that hardly ever repeat are a mistake and not a small example


class UnseenLabel(str):
    """The reason why a target cannot be encoded: its label does not stand in the training rows."""

    label: str
    __slots__ = ("label",)

    def __new__(cls, label: str) -> Self:
        reason = super().__new__(cls, f"the label {quoted(label)} is not among those of the training rows")
        reason.label = label
        return reason


def unseen_labels(
    table: Table, target: str, bad: Mapping[int, str], known: Sequence[str] = ()
) -> tuple[set[int], list[Sentence]]:
    """Return the rows whose label does not stand in the training rows, and a sentence for each such label.

    bad: position -> reason, as `Task.encode` gives them. known: the labels of the training. Raises DataError where
    these rows are more than 1 % of all: the scores would then be those of an easier task.
    """
    unseen = {position: reason.label for position, reason in bad.items() if isinstance(reason, UnseenLabel)}
    counts = Counter(unseen.values()).most_common()
    if len(unseen) > REJECTED_LIMIT * len(table):
        raise DataError(
            f"{table.name}, target '{target}'",
            expected=f"labels of the training rows in all but {REJECTED_LIMIT:.0%} of the rows",
            found=f"others in {len(unseen)} of {len(table)}: {listed(label for label, _ in counts)}"
            f"{(why := difference([label for label, _ in counts], known))}",
            action="Write them as in the training rows"
            if why
            else "Add training rows with these labels, or remove these rows",
        )
    notes = [
        sentence(
            "unseen.label",
            "label '{label}' stands in {name} but not in the training rows: {rows:count row} set aside, which the "
            "scores leave out",
            label=shortened(label),
            name=table.name,
            rows=count,
        )
        for label, count in counts[:TOLD_LABELS]
    ]
    if left := len(counts[TOLD_LABELS:]):
        notes.append(
            sentence(
                "unseen.more",
                "{labels} more labels of {name} do not stand in the training rows: set aside alike",
                labels=left,
                name=table.name,
            )
        )
    return set(unseen), notes


def profiled(table: Table, target: str) -> ColumnProfile:
    """Look at a target as its values are meant: several spellings of one are one."""
    found = profile(in_one_writing(table, (), (target,)).table, target)
    return replace(found, companions=companions(table, target))


def companions(table: Table, target: str) -> tuple[str, ...]:
    """Return the columns of words that a target has as many tags for, or of texts that it has spans of.

    Of several texts the longest come first. Lists that have one length in all rows are no words: any two such columns
    would be companions.
    """
    cells = table.frame[target]
    inner = cells.dtype.inner if isinstance(cells.dtype, pl.List) else None
    if inner is not None and (inner == pl.String or inner.is_integer()):
        lengths = cells.list.len()
        if lengths.n_unique() < 2:
            return ()
        others = [name for name in table.columns if name != target and table.frame[name].dtype == pl.List(pl.String)]
        return tuple(name for name in others if _mostly(table.frame[name].list.len() == lengths))
    if isinstance(inner, pl.Struct) and {"start", "end", "label"} <= {field.name for field in inner.fields}:
        ends = cells.list.eval(pl.element().struct.field("end").cast(pl.Int64, strict=False)).list.max().fill_null(0)
        texts = {
            name: table.frame[name].str.len_chars() for name in table.columns if table.frame[name].dtype == pl.String
        }
        held = {name: lengths for name, lengths in texts.items() if name != target and _mostly(lengths >= ends)}
        return tuple(sorted(held, key=lambda name: -float(held[name].mean() or 0)))  # type: ignore[arg-type]
    return ()


def _mostly(holds: pl.Series) -> bool:
    """Tell whether something holds in nearly all rows, of those that have cells."""
    return float(holds.fill_null(value=True).mean()) >= ALIKE  # type: ignore[arg-type]


def is_scalar(dtype: pl.DataType) -> bool:
    """Tell whether cells of this type can be labels or numbers."""
    return dtype.is_numeric() or isinstance(dtype, pl.Boolean | pl.String | pl.Categorical | pl.Enum | pl.Null)


def is_measured(dtype: pl.DataType) -> bool:
    """Tell whether cells of this type can be numbers: a duration is one of seconds."""
    return is_scalar(dtype) or isinstance(dtype, pl.Duration)


def sampled_numbers(profile: ColumnProfile) -> Floats | None:
    """Return the sample as finite numbers, or None where it is not a column of numbers."""
    if not is_measured(profile.sample.dtype) or not len(profile.sample):
        return None
    numbers, _ = parse_numbers(profile.sample)
    finite: Floats = numbers[np.isfinite(numbers)]
    return finite if len(finite) >= NUMERIC_SHARE * len(profile.sample) else None


def counts_classes(profile: ColumnProfile) -> bool:
    """Tell whether numbers are names of classes: integers, at most 20 distinct, each in two rows or more on average."""
    numbers = sampled_numbers(profile)
    if numbers is None or profile.num_unique > MAX_INTEGER_CLASSES:
        return False
    repeats = 2 * profile.num_unique <= profile.num_rows - profile.num_missing
    return repeats and bool(np.all(numbers == np.floor(numbers)))


def integers_note(profile: ColumnProfile) -> str:
    """Say which setting makes classes of whole numbers that repeat and are taken as quantities; nothing of others."""
    numbers = sampled_numbers(profile)
    if numbers is None or isinstance(profile.sample.dtype, pl.Duration):
        return ""
    present = profile.num_rows - profile.num_missing
    repeats = MAX_INTEGER_CLASSES < profile.num_unique <= MOST_INTEGER_CLASSES and 2 * profile.num_unique <= present
    if not repeats or not bool(np.all(numbers == np.floor(numbers))):
        return ""
    return sentence(
        "target.integers",
        "'{target}' has {unique} different whole numbers and is taken as a quantity (regression); set "
        "data.task=multiclass if they are the names of classes",
        target=profile.name,
        unique=profile.num_unique,
    )


def require_repeated(target: pl.Series, num_labels: int, num_rows: int) -> None:
    """Raise DataError where nearly every row has a label of its own."""
    if num_rows >= MANY_ROWS and 2 * num_labels > num_rows:
        raise DataError(
            f"target '{target.name}'",
            expected="labels that repeat from row to row",
            found=f"{num_labels} different ones in {num_rows} rows",
            action="If it is a quantity, set data.task=regression; if it identifies the rows, choose another target",
        )


def no_targets(target: pl.Series, expected: str, num_rows: int | None = None) -> DataError:
    """Return the error of a target that has no usable cell. num_rows: of the table, where cells alone are given."""
    return DataError(
        f"target '{target.name}'",
        expected=expected,
        found=f"none in {len(target) if num_rows is None else num_rows} rows",
        action="Check the name of the target and its cells",
    )


def numbers_or_why(target: pl.Series) -> tuple[Floats, dict[int, str]]:
    """Return (rows,) float64, NaN where there is no finite number, and for each of these positions why."""
    values, unreadable = parse_numbers(target)
    bad = {}
    for position in np.flatnonzero(~np.isfinite(values)).tolist():
        if unreadable[position]:
            bad[position] = f"the target {quoted(target[position])} is not a number"
        else:
            bad[position] = INFINITE if np.isinf(values[position]) else MISSING
    return np.where(np.isfinite(values), values, np.nan), bad


def check_loss(task: Task, frame: pl.DataFrame, config: LossConfig) -> None:
    """Raise ConfigError where the settings of the loss are not for this task or these labels."""
    for part in task.configured(config).parts:
        part.check_loss(frame)


def label_weights(config: LossOfLabels, labels: list[str], balanced: Floats) -> Floats | None:
    """Return a weight for each label, or None for equal ones; labels that the setting does not name weigh 1.

    Raises ConfigError for an unknown label.
    """
    chosen = config.class_weights
    if chosen is None:
        return None
    if chosen == "balanced":
        return balanced
    for label in chosen:
        if label not in labels:
            raise ConfigError(
                "train.loss.class_weights",
                expected=f"labels of the target: {listed(labels)}",
                found=quoted(label),
                action=f"{nearest(label, labels)}Write 'balanced', or a weight for each label",
            )
    return np.array([chosen.get(label, 1.0) for label in labels])
