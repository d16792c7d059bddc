"""Tables in memory: pandas, Polars, Arrow, dicts of columns and lists of rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl

from luban.core.errors import DataError, SchemaError, listed
from luban.core.sentence import sentence
from luban.data.batches import clashing_columns


def from_memory(source: Any) -> tuple[pl.DataFrame, str, list[str]]:
    """Return the frame, the name for messages, and notes; raises DataError where it is no table of plain cells."""
    frame, name, notes = _convert(source)
    for column, dtype in frame.schema.items():
        if dtype == pl.Object:
            raise DataError(
                f"{name}, column '{column}'",
                expected="numbers, texts, dates, bytes or lists of them",
                found=f"objects such as {type(next(iter(frame[column].drop_nulls()), None)).__qualname__}",
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
            return pl.DataFrame(source), "Arrow table", []
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
    if kind in "mM" and type(dtype).__module__.startswith("numpy"):
        unit = dtype.str.partition("[")[2].rstrip("]")
        values = column.to_numpy() if unit in ("ms", "us", "ns") else column.astype(f"{dtype.str[1:3]}[ms]").to_numpy()
        return pl.Series(name, values)
    if kind in "iufb" and type(dtype).__module__.startswith("numpy"):
        return pl.Series(name, column.to_numpy(), nan_to_null=True)
    cells = column.astype(object).where(column.notna(), None).tolist()
    with clashing_columns(f"{where}, column '{name}'"):
        return pl.Series(name, [_plain(cell) for cell in cells], strict=False)


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
