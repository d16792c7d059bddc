from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.core.errors import DataError
from luban.data import dialects
from luban.data.delimited import INDEX
from luban.data.encodings import UTF8
from luban.data.sources import read

ROWS = [(str(place), f"text {place}", "yes" if place % 3 else "no") for place in range(40)]


def write(folder: Path, content: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(content, "utf-8", newline="")
    return path


def lines(header: str, form: str, rows: list[tuple[str, ...]] = ROWS) -> str:
    return "\n".join([header, *(form.format(*row) for row in rows), ""])


@pytest.mark.parametrize("first", ["sep=;", "sep=;\r", '"sep=;"', "SEP=;", "\ufeffsep=;"])
def test_a_line_that_names_the_separator_is_obeyed(tmp_path: Path, first: str) -> None:
    table = read(write(tmp_path, f"{first}\n" + lines("a;b,c;d", "{};{};{}")))
    assert table.columns == ["a", "b,c", "d"]
    assert table.frame.rows() == ROWS
    assert table.row_numbers.tolist() == list(range(1, 41))
    assert table.notes == (
        "data.csv: read with separator ';', without the first line, which names the separator",
    )  # fmt: skip


def test_a_separator_that_is_set_comes_before_the_line_that_names_one(tmp_path: Path) -> None:
    path = write(tmp_path, "sep=,\n" + lines("a;b;c", "{};{};{}"))
    assert read(path, separator=";").frame.rows() == ROWS
    assert read(write(tmp_path, "sep=^\n" + lines("a^b^c", "{}^{}^{}"))).frame.rows() == ROWS


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("a,b,c,", "{},{},{}"),
        ("a,b,c", "{},{},{},"),
        ("a,b,c,", "{},{},{},"),
        ("a,b,c,,,", "{},{},{}, ,,"),
        ("a,b,c,", "{},{},{},,"),
    ],
)
def test_empty_cells_behind_the_last_column_are_left_out(tmp_path: Path, header: str, form: str) -> None:
    table = read(write(tmp_path, lines(header, form)))
    assert (table.columns, table.frame.rows(), table.rejected) == (["a", "b", "c"], ROWS, ())
    assert table.notes == ("data.csv: read without the empty cells behind the last column",)


def test_a_last_column_without_a_name_is_kept_where_it_has_cells(tmp_path: Path) -> None:
    content = lines("a,b,", "{},{},{}")
    assert read(write(tmp_path, content)).columns == ["a", "b", "column_3"]
    some = "a,b,\n" + "1,2,\n" * 30 + "1,2,x\n"
    assert read(write(tmp_path, some)).frame["column_3"].to_list() == [None] * 30 + ["x"]


def test_a_cell_behind_the_last_column_costs_its_row(tmp_path: Path) -> None:
    table = read(write(tmp_path, lines("a,b,c", "{},{},{},", ROWS * 30) + "1,2,3,4\n"), separator=",")
    assert [(row.row, row.reason) for row in table.rejected] == [(1201, "it has 4 cells where the header has 3")]


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("'a','b','c'", "'{}','{}','{}'"),
        ("a,b,c", "{},'{}, and more',{}"),
        ("'a';'b';'c'", "'{}';'{}';'{}'"),
        ("a,b,c", "{},'{}''s',{}"),
        ("a,b,c", "{},'{}\\'s',{}"),
    ],
)
def test_single_quotes_enclose_cells(tmp_path: Path, header: str, form: str) -> None:
    table = read(write(tmp_path, lines(header, form)))
    cell = form.split("{}")[2].replace("''", "'").replace("\\", "")
    inside = {"'s',": "'s", ", and more',": ", and more"}.get(cell, "")
    assert table.columns == ["a", "b", "c"]
    assert table.frame["b"].to_list() == [f"{row[1]}{inside}" for row in ROWS]
    assert "with single quotes around cells" in table.notes[0]


def test_apostrophes_are_no_quotes(tmp_path: Path) -> None:
    table = read(write(tmp_path, "text,y\n'tis the season,1\nrock 'n' roll,0\n'round,1\n"))
    assert table.frame["text"].to_list() == ["'tis the season", "rock 'n' roll", "'round"]
    assert table.notes == ()


@pytest.mark.parametrize("header", ["a,b,c", 'a","b","c'])
@pytest.mark.parametrize(
    "written", [csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC], ids=["all cells quoted", "only texts quoted"]
)
def test_quotes_that_lines_lost_at_their_ends_are_put_back(tmp_path: Path, header: str, written: int) -> None:
    rows = [(place, f"b, {place}", "no") for place in range(300)]
    text = io.StringIO(newline="")
    csv.writer(text, quoting=written, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    stripped = "\n".join([header, *(line.strip('"') for line in text.getvalue().splitlines())])
    table = read(write(tmp_path, stripped))
    assert table.frame.rows() == [tuple(map(str, row)) for row in rows]
    assert table.notes == ("data.csv: read with the quotes that lines have lost at their ends",)


def test_signs_of_inches_are_no_lost_quotes(tmp_path: Path) -> None:
    table = read(write(tmp_path, "size,name\n" + '5",pipe\n7",rod\n' * 20))
    assert table.frame.row(0) == ('5"', "pipe")


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.lists(st.text("ab ,'x\n", max_size=5), min_size=3, max_size=3), min_size=3, max_size=8),
    trailing=st.sampled_from(["", ","]),
    declared=st.booleans(),
)
def test_any_cells_in_single_quotes_read_back(
    rows: list[list[str]], trailing: str, declared: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quotechar="'", quoting=csv.QUOTE_ALL, lineterminator=f"{trailing}\r\n")
    writer.writerows([["a", "b", "c"], *rows])
    table = read(write(tmp_path_factory.mktemp("single"), ("sep=,\n" if declared else "") + text.getvalue()))
    assert table.columns == ["a", "b", "c"]
    assert table.frame.rows() == [tuple(cell or None for cell in row) for row in rows]


def test_a_first_column_without_a_name_is_the_index(tmp_path: Path) -> None:
    assert read(write(tmp_path, ",a\n0,x\n1,y\n")).columns == [INDEX, "a"]
    assert read(write(tmp_path, '"",a,\n0,x,z\n1,y,z\n')).columns == [INDEX, "a", "column_3"]


def test_time_is_linear_where_no_quote_is_closed(tmp_path: Path) -> None:
    def seconds(num_rows: int) -> float:
        path = write(tmp_path, "a,b,y\n" + "".join(f'{row}","b","c" d,"e\n' for row in range(num_rows)))
        start = time.process_time()
        with pytest.raises(DataError, match=r"Most rows fail alike, so the layout is another one"):
            read(path, separator=",")
        return time.process_time() - start

    few, many = seconds(2_000), seconds(8_000)
    assert many < 8 * few + 0.5


def test_records_end_after_some_lines_once_too_much_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialects, "READ_AGAIN", 200)
    monkeypatch.setattr(dialects, "LINES_A_RECORD", 2)
    path = write(tmp_path, 'a,b\n"1,2\n' + "3,4\n" * 100 + '"5\n6",7\n')
    with path.open(encoding="utf-8", newline="") as stream:
        records = list(dialects.parse(stream, dialects.Dialect(",")))
    assert records[1][0] == []
    assert "a quote is not closed" in records[1][1]
    assert records[2][0] == ["3", "4"]
    assert records[-1][0] == ["5\n6", "7"]


def test_only_the_beginning_is_sniffed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialects, "SNIFFED_CHARACTERS", 40)
    path = write(tmp_path, lines("a;b;c", "{};{};{}"))
    assert len(dialects.first_records(path, UTF8, dialects.Dialect(";"))) == 4
    assert read(path).frame.rows() == ROWS


def test_most_rows_that_fail_are_not_to_be_mended(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found 40 of 40 .* look at the separator \(data.separator\), the quotes"):
        read(write(tmp_path, lines("a,b", "{},{},{}")))
