"""Several labels in one cell, as programs and people write them: lists of Python and JSON, sets, arrays of NumPy,
vectors of 0 and 1, and labels joined by a separator."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import polars as pl

from luban.features.cells import SAMPLED, evenly, share, strings

SEPARATORS = (";", "|", "；", "、", ",", "，")  # the surest first
# Marks that stand inside a label, too, are taken for separators on evidence alone.
WEAK_SEPARATORS = ("#", "/", "\\", "&", "+", "~", "^", "\n", "\t", ":", " ", "_", "-")

LONGEST_LIST = 100_000  # characters of a cell that is read as a list
WRITTEN_SHARE = 0.9  # of the cells must be lists for a column to be written so
SEPARATED_SHARE = 0.1  # of the cells must hold a weak separator
MOST_PIECES, LABEL_CHARACTERS = 200, 40
MEAN_USES, MEAN_COMBINATIONS = 3.0, 2.0  # of a piece, in cells and in different cells of several
ALONE, ALONE_OF_PAIRS = 0.8, 0.95  # of the pieces stand alone in some cell; one of a pair may be a mere adjective
FEWEST_COMBINATIONS = 3
FIRST = 300  # different cells that are looked at first

STARTS = r"(?s)^(?:[\[({<]|(?:(?:np|numpy|pd)\.)?(?:array|Index|Series|list|tuple|set|frozenset)\s*\(|''$|\"\"$)"
_CALL = re.compile(r"(?s)(?:(?:np|numpy|pd)\.)?(?:array|Index|Series|list|tuple|set|frozenset)\s*\((.*)\)")
_DTYPE = re.compile(r",\s*(?:dtype|name)\s*=\s*[^,\[\](){}]*$")
_ANGLES = re.compile(r"(?:<[^<>\s][^<>]*>\s*)+")
_QUOTED = re.compile(
    r"""\s*(?:[ub]?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([^\s,;"'\[\](){}:]+))\s*([,;]?)""", re.DOTALL
)
_CLOSING = {"[": "]", "(": ")", "{": "}"}
NOTHING = ("none", "null", "nan", "")
ZEROS, ONES = ("0", "0.0", "0.", "false"), ("1", "1.0", "1.", "true")
BARE_VECTOR = r"^[01](?:[ ,|][01])+$"


@dataclass(frozen=True)
class Writing:
    """How the labels of a column are written. separator: between them, '' where cells are lists or one label each.
    positions: the length of vectors of 0 and 1, whose labels are named by their places from 0; 0 for none."""

    separator: str = ""
    positions: int = 0


def parse_list(cell: str) -> list[str] | None:
    """Return the labels of a stripped cell that is a list, none of them empty; None where it is no list, or one of
    lists or objects. Nothing in a cell is executed."""
    if len(cell) > LONGEST_LIST:
        return None
    if cell in ("''", '""'):
        return []
    if _ANGLES.fullmatch(cell):
        return [label.strip() for label in re.findall(r"<([^<>]+)>", cell)]
    called = _CALL.fullmatch(cell)
    if called is not None:
        cell = _DTYPE.sub("", called[1]).strip()
        if not cell:
            return []
    if len(cell) < 2 or _CLOSING.get(cell[0]) != cell[-1]:
        return None
    inside = cell[1:-1].strip()
    if not inside:
        return []
    has_quotes = re.search(r"(?:^|[\s,;])[ub]?[\"']", inside) is not None
    if cell[0] == "(" and not (has_quotes or re.fullmatch(r"[-\d.\s,]+", inside)):
        return None  # a remark in brackets
    return _quoted(inside) if has_quotes else _bare(inside)


def _quoted(inside: str) -> list[str] | None:
    labels, end = [], 0
    while end < len(inside):
        found = _QUOTED.match(inside, end)
        if found is None or found.end() == end:
            return None
        quoted, bare = found[1], found[2]
        label = _unquoted(quoted) if quoted is not None else bare
        if label.strip() and (quoted is not None or label.lower() not in NOTHING):
            labels.append(label.strip())
        end = found.end()
    return labels


def _unquoted(text: str) -> str:
    if "\\" not in text:
        return text[1:-1]
    for read in (json.loads, ast.literal_eval) if text[0] == '"' else (ast.literal_eval,):
        with contextlib.suppress(ValueError, SyntaxError):
            return str(read(text))  # a single literal, which can only be a string
    return text[1:-1]


def _bare(inside: str) -> list[str] | None:
    if re.search(r"[\[\](){}\"]|\w:\s", inside):
        return None
    sign = next((sign for sign in (",", ";", "|", "，", "、") if sign in inside), None)
    if sign is None and re.fullmatch(r"[-\d.\seE+]+|(?:True|False|\s)+", inside):
        parts = inside.split()
    else:
        parts = [inside] if sign is None else inside.split(sign)
    return [part.strip() for part in parts if part.strip().lower() not in NOTHING]


def as_vector(labels: Collection[str]) -> list[int] | None:
    """Return a list of zeros and ones as such; None for another."""
    lowered = [label.lower() for label in labels]
    if len(lowered) < 2 or not all(label in ZEROS or label in ONES for label in lowered):
        return None
    return [int(label in ONES) for label in lowered]


def find_writing(series: pl.Series, *, is_told: bool = False) -> Writing | None:
    """Return how the labels of a column are written, or None where no cell has several.

    is_told: the column is known to be one of labels, so that less has to speak for a separator.
    """
    if isinstance(series.dtype, (pl.List, pl.Array)):
        rows = series.drop_nulls().head(SAMPLED).cast(pl.List(pl.String)).to_list()
        return Writing(positions=_length(rows))
    if series.dtype != pl.String:
        return None
    cells = strings(series).drop_nulls()
    cells = evenly(cells, SAMPLED)
    is_list = cells.str.contains(STARTS)
    if len(cells) and share(is_list) >= WRITTEN_SHARE:
        read = [parse_list(cell) for cell in cells.unique(maintain_order=True)]
        lists = [labels for labels in read if labels is not None]
        if len(lists) >= WRITTEN_SHARE * len(read):
            return Writing(positions=_length(lists))
    if len(cells) and cells.str.contains(BARE_VECTOR).all() and cells.str.len_chars().n_unique() == 1:
        return Writing(positions=(cells.str.len_chars()[0] + 1) // 2)
    separator = find_separator(cells.filter(~is_list), is_told=is_told)
    return None if separator is None else Writing(separator)


def _length(lists: list[list[str]]) -> int:
    """Return the length that all lists have where they are vectors of 0 and 1, else 0."""
    lengths = {len(labels) for labels in lists}
    are_vectors = len(lengths) == 1 and all(as_vector(labels) is not None for labels in lists)
    return lengths.pop() if are_vectors else 0


def find_separator(cells: pl.Series, *, is_told: bool = False) -> str | None:
    """Return what separates the labels of stripped strings in most cells, or None where no cell has several."""
    cells = cells.drop_nulls()
    counts = {sign: int(cells.str.contains(sign, literal=True).sum()) for sign in SEPARATORS}
    best = max(SEPARATORS, key=lambda separator: counts[separator])  # the first of equals
    if counts[best] < SEPARATED_SHARE * len(cells):
        weak = next((sign for sign in WEAK_SEPARATORS if _separates(cells, sign, is_told=is_told)), None)
        if weak is not None:
            return weak
    return best if counts[best] else None


def _separates(cells: pl.Series, sign: str, *, is_told: bool) -> bool:
    """Tell whether a mark stands between labels: there are few pieces, which recur in many combinations and alone."""
    has_sign = cells.str.strip_chars(sign).str.contains(sign, literal=True)
    if not len(cells) or share(has_sign) < SEPARATED_SHARE:
        return False
    distinct = cells.unique(maintain_order=True)
    if _split(distinct.head(FIRST), sign).explode().n_unique() > MOST_PIECES:  # prose, most often
        return False
    lists = _split(distinct, sign)
    pieces = lists.explode().drop_nulls()
    vocabulary, lengths = pieces.unique(), lists.list.len().fill_null(0)
    is_short = len(vocabulary) <= MOST_PIECES and bool((vocabulary.str.len_chars() <= LABEL_CHARACTERS).all())
    is_number = vocabulary.cast(pl.Float64, strict=False).is_not_null()
    if not is_short or bool(is_number.all()) or len(vocabulary) > len(distinct):
        return False
    if is_told:
        return True
    if bool((lists.list.n_unique() < lengths).any()):  # a label stands once in a cell, a word may stand twice
        return False
    alone = lists.filter(lengths == 1).explode().unique()
    combined = lists.filter(lengths > 1)
    is_alone = share(vocabulary.is_in(alone.implode()))
    uses = int(_split(cells, sign).list.len().sum())
    return (
        is_alone >= (ALONE if int(lengths.max()) > 2 else ALONE_OF_PAIRS)  # type: ignore[arg-type]
        and len(combined) >= max(FEWEST_COMBINATIONS, len(vocabulary) / 2)
        and int(combined.list.len().sum()) >= MEAN_COMBINATIONS * len(vocabulary)
        and uses >= MEAN_USES * len(vocabulary)
    )


def suspected(series: pl.Series) -> str | None:
    """Return the mark that may stand between labels, though too few cells have several to take it so: all pieces of
    these cells stand alone in others. None where there is none."""
    if series.dtype != pl.String:
        return None
    distinct = strings(series).drop_nulls().unique(maintain_order=True)
    for sign in (*SEPARATORS, *WEAK_SEPARATORS) if len(distinct) <= MOST_PIECES else ():
        lists = _split(distinct, sign)
        combined = lists.filter(lists.list.len() > 1).explode().unique()
        if len(combined) and bool(combined.is_in(lists.filter(lists.list.len() == 1).explode().implode()).all()):
            return sign
    return None


def split(series: pl.Series, writing: Writing | None = None) -> pl.Series:
    """Return List(String): the labels of each cell, stripped, each once, in the order written; none where a cell says
    so, as `[]` does, and null where it is missing.

    writing: None finds it in these cells. Cells that are lists are read as such, however the others are written.
    """
    if writing is None:
        writing = find_writing(series, is_told=True) or Writing()
    if isinstance(series.dtype, (pl.List, pl.Array)):
        lists = series.cast(pl.List(pl.String))
        return _named(lists, writing.positions) if writing.positions else _cleaned(lists)
    cells = strings(series)
    lists = _split(cells, writing.separator)
    is_list = cells.str.contains(STARTS) | (cells.str.contains(BARE_VECTOR) if writing.positions else False)
    distinct = cells.filter(is_list.fill_null(False)).unique()
    if not len(distinct):
        return lists
    read = [_read(cell) for cell in distinct]
    values = pl.Series("read", read, dtype=pl.List(pl.String))
    values = _named(values, writing.positions) if writing.positions else _cleaned(values)
    known = pl.DataFrame({"cell": distinct, "read": values, "found": [labels is not None for labels in read]})
    rows = pl.DataFrame({"cell": cells, "lists": lists}).join(known, on="cell", how="left", maintain_order="left")
    found = rows.select(pl.when(pl.col("found").fill_null(False)).then("read").otherwise("lists"))
    return found.to_series().alias(series.name)


def _read(cell: str) -> list[str] | None:
    return re.split("[ ,|]", cell) if re.fullmatch(BARE_VECTOR, cell) else parse_list(cell)


def _split(cells: pl.Series, separator: str) -> pl.Series:
    lists = cells.str.split(separator) if separator else cells.reshape((len(cells), 1)).arr.to_list()
    labels = _cleaned(lists)
    return labels.set(labels.list.len() == 0, None) if len(labels) else labels


def _cleaned(lists: pl.Series) -> pl.Series:
    label = pl.element().str.strip_chars()
    kept = label.filter(label != "").unique(maintain_order=True)
    return lists.to_frame().select(pl.col(lists.name).list.eval(kept)).to_series()


def _named(lists: pl.Series, length: int) -> pl.Series:
    """Return vectors as the places of their ones; lists that are none stay as they are."""
    found = []
    for labels in lists.to_list():
        vector = None if labels is None or len(labels) != length else as_vector(labels)
        found.append(labels if vector is None else [str(place) for place, one in enumerate(vector) if one])
    return _cleaned(pl.Series(lists.name, found, dtype=pl.List(pl.String)))


def suited(series: pl.Series, writing: Writing, labels: Iterable[str]) -> Writing:
    """Return how other cells are written: as those of training, unless another separator finds more of its labels."""
    if series.dtype != pl.String:
        return writing
    cells = strings(series).drop_nulls().unique(maintain_order=True)
    cells = evenly(cells, SAMPLED)
    own, names = _num_known(cells, writing, labels), pl.Series(list(labels), dtype=pl.String)
    if own == len(cells) or not len(names):
        return writing
    others = [
        Writing(sign, writing.positions) for sign in ("", *SEPARATORS, *WEAK_SEPARATORS) if sign != writing.separator
    ]
    counts = [_num_known(cells, other, labels) for other in others]
    best = max(range(len(others)), key=lambda at: counts[at])
    return others[best] if counts[best] > own else writing


def _num_known(cells: pl.Series, writing: Writing, labels: Iterable[str]) -> int:
    """Return in how many cells every label is one of those given."""
    lists = split(cells, writing)
    is_known = lists.list.eval(pl.element().is_in(list(labels)).all()).list.first().fill_null(True)
    return int((is_known & lists.is_not_null()).sum())
