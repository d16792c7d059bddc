"""What kind of column each one is: inferred from its cells, or as the user says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from luban.core.errors import ConfigError, SchemaError, listed, nearest
from luban.core.sentence import Sentence, sentence, several
from luban.core.tensors import TensorKind
from luban.data.media.formats import SUFFIXES
from luban.data.table import Table
from luban.features import FEATURES, identifier, labels
from luban.features.base import ColumnProfile, Feature
from luban.features.cells import cjk_share, commonest, evenly, hashes, quoted, strings
from luban.features.date import doubt
from luban.features.glance import Glance, settle
from luban.features.media import elsewhere, path_note
from luban.features.number import PARSED_SHARE
from luban.features.parsing.numbers import reads, several_units
from luban.features.parsing.words import spaced

SAMPLED_CELLS = 10_000
IGNORE = "ignore"
SET_ASIDE = (identifier.KIND, IGNORE)
KINDS: dict[str, type[Feature]] = {feature.kind: feature for feature in FEATURES}
MOSTLY_NUMBERS = 0.5  # from this share of numbers on, the other cells are worth a note
SHOWN_WORDS = 3
MOSTLY_CJK = 0.5
WHAT_KIND = "Say in data.columns what kind a column is, or add a column"


@dataclass(frozen=True)
class ColumnPlan:
    """kind: of a feature, `identifier` or `ignore`; the latter two are no inputs. reason: why, in a few words. note: a
    sentence on cells that may have been meant otherwise, or nothing."""

    name: str
    kind: str
    reason: Sentence
    note: str = ""

    @property
    def is_input(self) -> bool:
        return self.kind not in SET_ASIDE


def profile(table: Table, column: str, missing_values: Collection[str] = ()) -> ColumnProfile:
    """Look at a column. missing_values: cells that mean 'missing', beside the empty one, if the others are numbers or
    dates. Raises SchemaError where there is no such column."""
    table.require(column)
    return _profile(table, column, _comparable(table.frame[column]), missing_values)


def _comparable(series: pl.Series) -> pl.Series:
    """Return cells that tell as much as the column's about what is missing and what is equal."""
    return hashes(series) if series.dtype in (pl.String, pl.Object) else series


def _profile(table: Table, column: str, cells: pl.Series, missing_values: Collection[str]) -> ColumnProfile:
    series = table.frame[column]
    is_text = series.dtype in (pl.String, pl.Object)
    is_present = cells.is_not_null() & cells.is_not_nan() if cells.dtype.is_float() else cells.is_not_null()
    if missing_values and is_text:
        is_present &= ~_is_one_of(cells, missing_values)
    rows = is_present.arg_true()
    sample = series.gather(evenly(rows, SAMPLED_CELLS))
    return ColumnProfile(
        name=column,
        sample=strings(sample) if is_text else sample,
        num_rows=len(series),
        num_missing=len(series) - len(rows),
        num_unique=cells.filter(is_present).n_unique(),
        folder=table.folder,
    )


def _is_one_of(cells: pl.Series, values: Collection[str]) -> pl.Series:
    return cells.is_in(hashes(pl.Series(list(values), dtype=pl.String)).implode())


def plan(
    table: Table,
    *,
    target: str | Collection[str] | None,
    overrides: Mapping[str, str] | None = None,
    asked: Mapping[str, str] | None = None,
    exclude: Collection[str] = (),
    missing_values: Collection[str] = (),
) -> list[ColumnPlan]:
    """Decide on the kind of every column but the target, or the targets, in the table's order.

    overrides: kind by column. asked: likewise, by the task, where overrides say nothing. exclude: columns that are used
    otherwise. Raises SchemaError for a column that is not there, ConfigError for a kind that there is not.
    """
    overrides, asked = overrides or {}, asked or {}
    targets = [target] if isinstance(target, str) else list(target or ())
    for name in targets:
        table.require(name, "target")
    for column, kind in overrides.items():
        table.require(column, "data.columns")
        _check_kind(column, kind)
    for column in exclude:
        table.require(column)
    said = {*targets, *overrides, *asked, *exclude}
    inferred = [name for name in table.columns if name not in said]
    settled = settle(table, inferred, missing_values)
    plans = []
    for column in table.columns:
        if column in exclude and column not in targets:
            plans.append(ColumnPlan(column, IGNORE, sentence("why.used", "used otherwise")))
        elif column in overrides and column not in targets:
            plans.append(ColumnPlan(column, overrides[column], sentence("why.chosen", "chosen by the user")))
        elif column in asked and column != target:
            plans.append(ColumnPlan(column, asked[column], sentence("why.asked", "asked for by the task")))
        elif column in settled:
            plans.append(_settled(table, column, settled[column]))
        elif column not in targets:
            plans.append(_infer(table, column, missing_values))
    return plans


def tensor_kinds(plans: Collection[ColumnPlan]) -> set[TensorKind]:
    """Return the kinds of tensors that planned columns will make."""
    return {KINDS[plan.kind].tensor_kind for plan in plans if plan.is_input}


def is_mostly_cjk(table: Table, columns: Collection[str]) -> bool:
    """Return whether columns of text are mostly Chinese or Japanese."""
    samples = [spaced(profile(table, column).sample) for column in columns]
    return bool(samples) and cjk_share(pl.concat([sample.alias("cell") for sample in samples])) >= MOSTLY_CJK


def _check_kind(column: str, kind: str) -> None:
    kinds = (*KINDS, *SET_ASIDE)
    if kind not in kinds:
        raise ConfigError(
            f"data.columns, column '{column}'",
            expected=f"one of {listed(kinds, limit=len(kinds))}",
            found=f"'{kind}'",
            action=f"{nearest(kind, kinds)}Choose one of these kinds",
        )


def _settled(table: Table, column: str, seen: Glance) -> ColumnPlan:
    return ColumnPlan(column, seen.kind, _different(table.frame[column].dtype, seen.num_unique))


def _different(dtype: pl.DataType, num_unique: int) -> Sentence:
    return sentence("why.different", "{cells}, {unique:,} different", cells=_named(dtype), unique=num_unique)


def _infer(table: Table, column: str, missing_values: Collection[str]) -> ColumnPlan:
    cells = _comparable(table.frame[column])
    raw = _profile(table, column, cells, ())
    if raw.num_unique + (raw.num_missing > 0) <= 1:
        if not len(raw.sample):
            return ColumnPlan(column, IGNORE, sentence("why.missing", "constant: every cell is missing"))
        cell = quoted(raw.sample[0])
        return ColumnPlan(column, IGNORE, sentence("why.constant", "constant: every cell is {cell}", cell=cell))
    # Only numbers and dates have cells such as '?' for missing; to a category they are a value like any other.
    is_marked = missing_values and raw.sample.dtype == pl.String and _is_one_of(cells, missing_values).any()
    cleaned = _profile(table, column, cells, missing_values) if is_marked else raw
    scores = {kind: KINDS[kind].match(cleaned if kind in ("number", "date") else raw) for kind in KINDS}
    scores[identifier.KIND] = identifier.match(raw)
    kind = max(scores, key=lambda name: scores[name])
    if isinstance(raw.sample.dtype, pl.Struct):
        fields = several(field.name for field in raw.sample.dtype.fields)
        note = sentence(
            "infer.object",
            "column '{column}': objects of {fields} are left out; write each of these as a column of its own",
            column=column,
            fields=fields,
        )
        return ColumnPlan(column, IGNORE, sentence("why.object", "objects of {fields}", fields=fields), note)
    if scores[kind] == 0:
        reason = sentence("why.no_kind", "no kind takes cells of type {dtype}", dtype=str(raw.sample.dtype))
        return ColumnPlan(column, IGNORE, reason)
    if kind == identifier.KIND:
        return ColumnPlan(column, kind, identifier.explain(raw), elsewhere(raw))
    reason = _different(raw.sample.dtype, raw.num_unique)
    if kind in SUFFIXES:
        return ColumnPlan(column, kind, reason, path_note(raw) or elsewhere(raw))
    return ColumnPlan(column, kind, reason, _doubts(cleaned, kind) or elsewhere(raw))


def _named(dtype: pl.DataType) -> str:
    names = (
        (dtype == pl.Boolean, "true or false"),
        (dtype.is_integer(), "integers"),
        (dtype.is_numeric(), "numbers"),
        (dtype == pl.Time, "times of the day"),
        (isinstance(dtype, pl.Duration), "durations in seconds"),
        (dtype.is_temporal(), "dates"),
        (isinstance(dtype, pl.Categorical | pl.Enum), "categories"),
        (dtype == pl.Binary, "files"),
        (dtype.is_nested(), "lists"),
    )
    return next((name for holds, name in names if holds), "strings")


def _doubts(found: ColumnProfile, kind: str) -> str:
    setting = f"data.columns.{found.name}=labels"
    return _mixed(found, kind) or doubt(found, kind) or labels.doubt(found, kind, setting)


def _mixed(found: ColumnProfile, kind: str) -> str:
    """Say so where most cells of a column of another kind are numbers: a marker of missing cells is the usual cause, or
    several units."""
    if kind not in ("category", "text") or found.sample.dtype != pl.String or not len(found.sample):
        return ""
    if units := several_units(found.sample):
        return sentence(
            "infer.units",
            "column '{column}': the cells are numbers in several units ({units}); it is taken as {kind}. Write them in "
            "one unit if their size matters",
            column=found.name,
            units=several(units),
            kind=kind,
        )
    read = reads(found.sample, least=MOSTLY_NUMBERS)
    if not MOSTLY_NUMBERS <= read.share < PARSED_SHARE:
        return ""
    others = commonest(found.sample.filter(pl.Series(read.is_other)))
    if words := others.filter(~others.str.contains(r"\d")).head(SHOWN_WORDS).to_list():
        return sentence(
            "infer.words",
            "column '{column}': {share:.0%} of the cells are numbers, but not {others}; it is taken as {kind}. If "
            "these mean 'missing', add them to data.missing_values",
            column=found.name,
            share=read.share,
            others=several(words),
            kind=kind,
        )
    return sentence(
        "infer.others",
        "column '{column}': {share:.0%} of the cells are numbers, but not {others}; it is taken as {kind}. Write these "
        "like 1234.5 if the size matters",
        column=found.name,
        share=read.share,
        others=several(others.head(SHOWN_WORDS)),
        kind=kind,
    )


def require_inputs(table: Table, plans: Collection[ColumnPlan]) -> None:
    """Raise SchemaError where no column is left to learn from."""
    if not any(plan.is_input for plan in plans):
        reasons = ", ".join(f"'{plan.name}' ({plan.reason})" for plan in list(plans)[:4])
        raise SchemaError(
            table.name,
            expected="at least one column to learn from",
            found=f"none: set aside are {reasons}" if plans else "none",
            action=" ".join([*(f"{plan.note}." for plan in plans if plan.note), WHAT_KIND]),
        )
