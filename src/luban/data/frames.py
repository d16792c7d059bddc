"""Tables in memory: pandas, Polars, Arrow, dicts of columns and lists of rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from luban.core.errors import DataError, SchemaError, listed
from luban.core.sentence import sentence, several
from luban.data.batches import clashing_columns

TRIPLES = pl.List(pl.List(pl.String))


def from_memory(source: Any) -> tuple[pl.DataFrame, str, list[str]]:
    """Return the frame, the name for messages, and notes; raises DataError where it is no table of plain cells."""
    frame, name, notes = _convert(source)
    for column, dtype in frame.schema.items():
        inner: Any = dtype
        while isinstance(inner, pl.List | pl.Array):
            inner = inner.inner
        if inner == pl.Object:
            first = (
                "lists of them" if dtype != inner else type(next(iter(frame[column].drop_nulls()), None)).__qualname__
            )
            raise DataError(
                f"{name}, column '{column}'",
                expected="numbers, texts, dates, bytes or lists of them",
                found=f"objects such as {first}",
                action="Convert them, images and sounds to the bytes of a file",
            )
    return frame, name, notes


def _convert(source: Any) -> tuple[pl.DataFrame, str, list[str]]:
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, pl.DataFrame):
        return source, "DataFrame", []
    if type(source).__module__.split(".")[0] == "pandas":
        return _from_pandas(source)
    if hasattr(source, "__arrow_c_stream__"):
        with clashing_columns("Arrow table"):
            frame = pl.DataFrame(source)
        declared = [field.name for field in getattr(source, "schema", ()) if _is_dictionary(field)]
        return with_categories(frame.lazy(), declared).collect(), "Arrow table", []
    if isinstance(source, dict):
        return _from_columns(source), "dict", []
    if isinstance(source, (list, tuple)) and all(isinstance(row, dict) for row in source):
        with clashing_columns("list of rows"):
            return pl.DataFrame(list(source), infer_schema_length=None, strict=False), "list of rows", []
    raise DataError(
        "data",
        expected="a path, a DataFrame of pandas or Polars, an Arrow table, a dict of columns or a list of dicts",
        found=f"an object of type {type(source).__module__}.{type(source).__qualname__}",
        action="Convert it to one of these",
    )


def without_file_structs(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Replace structs of bytes and path, which is how Hugging Face writes images, by the bytes, or by the path where
    there are no bytes at all."""
    schema = frame.collect_schema()
    columns = [name for name, dtype in schema.items() if isinstance(dtype, pl.Struct) and _is_file(dtype)]
    fields = {name: pl.col(name).struct.field("bytes") for name in columns}
    if not fields:
        return frame
    has_bytes = frame.select(fields[name].is_not_null().any().alias(name) for name in columns).collect()
    return frame.with_columns(
        pl.col(name).struct.field("bytes" if has_bytes[name].item() else "path").alias(name) for name in columns
    )


def _is_file(dtype: pl.Struct) -> bool:
    fields = {field.name: field.dtype for field in dtype.fields}
    return fields.keys() == {"bytes", "path"} and fields["bytes"] == pl.Binary


def with_spans(frame: pl.DataFrame) -> pl.DataFrame:
    """Return lists of `[start, end, label]`, a common way of writing spans of characters, as lists of objects."""
    return frame.with_columns(
        _objects(column) for column in frame.get_columns() if column.dtype == TRIPLES and _are_spans(column)
    )


def _are_spans(cells: pl.Series) -> bool:
    triples = cells.drop_nulls().explode(empty_as_null=False)
    if not len(triples) or triples.has_nulls() or not (triples.list.len() == 3).all():
        return False
    starts, ends = (triples.list.get(place).cast(pl.Int64, strict=False) for place in (0, 1))
    labels = triples.list.get(2).cast(pl.Int64, strict=False)
    return bool((starts < ends).fill_null(value=False).all()) and labels.null_count() == len(labels)


def _objects(cells: pl.Series) -> pl.Series:
    part = pl.element().list
    span = pl.struct(
        part.get(0).cast(pl.Int64).alias("start"), part.get(1).cast(pl.Int64).alias("end"), part.get(2).alias("label")
    )
    return cells.to_frame().select(pl.col(cells.name).list.eval(span)).to_series()


def flattened(frame: pl.DataFrame, name: str) -> tuple[pl.DataFrame, list[str]]:
    """Put the fields of objects in their place, `person.age` for the age of a person, and say so; objects stay whose
    fields would have the name of another column."""
    before = taken = frozenset(frame.columns)
    while structs := [column for column, dtype in frame.schema.items() if _can_be_flat(column, dtype, taken)]:
        frame = pl.DataFrame(
            [
                part
                for column in frame.get_columns()
                for part in (_fields(column) if column.name in structs else [column])
            ]
        )
        taken = frozenset(frame.columns)
    if not (parts := [column for column in frame.columns if column not in before]):
        return frame, []
    return frame, [
        sentence(
            "read.objects",
            "{name}: the parts of objects are columns of their own: {columns}",
            name=name,
            columns=several(parts),
        )
    ]


def _can_be_flat(column: str, dtype: pl.DataType, taken: Collection[str]) -> bool:
    if not isinstance(dtype, pl.Struct) or not dtype.fields:
        return False
    return not any(f"{column}.{field.name}" in taken for field in dtype.fields)


def _fields(column: pl.Series) -> list[pl.Series]:
    parts = column.struct
    is_null = column.is_null()
    return [parts.field(name).set(is_null, None).alias(f"{column.name}.{name}") for name in parts.fields]


def categories_of(metadata: Mapping[str, str]) -> list[str]:
    """Return the columns that a Parquet file says were categories of pandas; those of numbers come back as numbers."""
    try:
        columns = json.loads(metadata.get("pandas", "{}"))["columns"]
        return [str(column["name"]) for column in columns if column["pandas_type"] == "categorical"]
    except (ValueError, KeyError, TypeError):  # written by something else
        return []


def with_categories(frame: pl.LazyFrame, columns: Collection[str]) -> pl.LazyFrame:
    """Return columns of numbers that were declared to be categories as such."""
    schema = frame.collect_schema()
    wrong = [name for name in columns if name in schema and not isinstance(schema[name], pl.Categorical | pl.Enum)]
    wrong = [name for name in wrong if not schema[name].is_nested()]
    return frame.with_columns(pl.col(name).map_batches(_as_category, return_dtype=pl.Categorical()) for name in wrong)


def _as_category(cells: pl.Series) -> pl.Series:
    if cells.dtype.is_float():
        is_whole = (cells == cells.floor()) & (cells.abs() < 2**53)
        whole = cells.cast(pl.Int64, strict=False).cast(pl.String)
        cells = whole.zip_with(is_whole.fill_null(False), cells.cast(pl.String))
    return cells.cast(pl.String).cast(pl.Categorical())


def _is_dictionary(field: Any) -> bool:
    return type(getattr(field, "type", None)).__name__ == "DictionaryType"


def _from_columns(source: dict[Any, Any]) -> pl.DataFrame:
    try:
        with clashing_columns("dict"):
            return pl.DataFrame({str(name): cells for name, cells in source.items()}, strict=False)
    except pl.exceptions.ShapeError as error:
        raise DataError(
            "dict", expected="columns of one length", found=str(error).splitlines()[0], action="Make them equally long"
        ) from error


def _from_pandas(source: Any) -> tuple[pl.DataFrame, str, list[str]]:
    """Convert column by column, which needs no pyarrow; the index is no column."""
    name = f"pandas {type(source).__name__}"
    if not hasattr(source, "columns"):
        raise DataError(name, expected="a DataFrame", found="something else", action="Call its to_frame() first")
    names = [str(column) for column in source.columns]
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        raise SchemaError(
            name,
            expected="a name of its own for each column",
            found=f"{listed(twice)} more than once",
            action="Rename them",
        )
    columns = [_column(column, source.iloc[:, place], name) for place, column in enumerate(names)]
    is_counter = type(source.index).__name__ == "RangeIndex" or source.index.dtype.kind in "iu"
    index = sentence("read.index", "{name}: the index is left out; call reset_index() to make it a column", name=name)
    return pl.DataFrame(columns), name, [] if is_counter else [index]


def _column(name: str, column: Any, where: str) -> pl.Series:
    dtype = column.dtype
    kind = getattr(dtype, "kind", "O")
    timezone = getattr(dtype, "tz", None)
    if timezone is not None:
        moments = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return _in_timezone(_column(name, moments, where).dt.replace_time_zone("UTC"), str(timezone))
    if type(dtype).__name__ == "CategoricalDtype":
        codes = column.cat.codes.to_numpy()
        names = _as_category(_column(name, column.cat.categories.to_series(), where)).cast(pl.String)
        return names.gather(pl.Series(codes.astype("int64")).replace(-1, None)).cast(pl.Categorical()).alias(name)
    if kind in "mM" and type(dtype).__module__.startswith("numpy"):
        unit = dtype.str.partition("[")[2].rstrip("]")
        values = column.to_numpy() if unit in ("ms", "us", "ns") else column.astype(f"{dtype.str[1:3]}[ms]").to_numpy()
        return pl.Series(name, values)
    if kind in "iufb" and type(dtype).__module__.startswith("numpy"):
        return pl.Series(name, column.to_numpy(), nan_to_null=True)
    cells = column.astype(object).where(column.notna(), None).tolist()
    with clashing_columns(f"{where}, column '{name}'"):
        found = pl.Series(name, [_plain(cell) for cell in cells], strict=False)
        return (
            _as_category(found) if type(getattr(dtype, "pyarrow_dtype", None)).__name__ == "DictionaryType" else found
        )


def _plain(cell: Any) -> Any:
    """Return a cell of pandas' own types as Python's."""
    if type(cell).__module__.startswith("pandas"):
        if hasattr(cell, "to_pydatetime"):
            return cell.to_pydatetime(warn=False)
        return cell.to_pytimedelta() if hasattr(cell, "to_pytimedelta") else str(cell)
    return cell


def _in_timezone(moments: pl.Series, timezone: str) -> pl.Series:
    try:
        return moments.dt.convert_time_zone(timezone)
    except pl.exceptions.ComputeError:  # a fixed offset, which Polars has no name for
        return moments
