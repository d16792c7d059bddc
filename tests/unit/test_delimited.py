from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path
from typing import Literal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.core.errors import ConfigError, DataError, SchemaError
from luban.data import delimited, dialects, encodings
from luban.data.encodings import UTF8
from luban.data.sources import read
from luban.data.table import Table

GOOD_ROWS = 300  # so that one bad row is below the limit of 1 %
CHINESE = "今天天气很好，我们去吃饭。外卖送得很快，味道不错！"
# Many control characters make a binary file, which is refused.
CELLS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\r\t", exclude_characters="\ufeff"),
    max_size=12,
)


def write(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def with_bad_row(bad: str, separator: str = ",") -> str:
    """A table of two columns whose 150th row is `bad`."""
    rows = [f"{number}{separator}text {number}" for number in range(1, GOOD_ROWS + 1)]
    rows[149] = bad
    return "\n".join([f"id{separator}text", *rows, ""])


def assert_one_rejected(table: Table, column: str, reason: str) -> None:
    (rejected,) = table.rejected
    assert (rejected.row, rejected.column) == (150, column)
    assert reason in rejected.reason
    assert len(table) == GOOD_ROWS - 1
    assert table.row_numbers.tolist() == [row for row in range(1, GOOD_ROWS + 1) if row != 150]
    assert table.frame["id"].to_list() == [str(row) for row in table.row_numbers]


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_any_table_in_any_dialect_reads_back_equal(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]))
    cells = st.sampled_from([CHINESE, "好吃", "", "送餐快"]) if encoding == "gb18030" else CELLS
    width = data.draw(st.integers(1, 5))
    rows = data.draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=8))
    if encoding == "gb18030":
        rows.append([CHINESE] * width)
    names = [f"name {place}" for place in range(width)]
    quoting: Literal[0, 1, 2] = data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    # With any other line end, Python 3.11 writes a carriage return inside a cell without quotes.
    ends = ["\r\n"] if quoting == csv.QUOTE_MINIMAL else ["\n", "\r\n", "\r"]
    written = io.StringIO(newline="")
    writer = csv.writer(
        written,
        delimiter=data.draw(st.sampled_from(dialects.SEPARATORS)),
        quoting=quoting,
        lineterminator=data.draw(st.sampled_from(ends)),
    )
    writer.writerows([names, *rows])
    path = write(tmp_path_factory.mktemp("table"), written.getvalue().encode(encoding))

    table = read(path)

    assert table.columns == names
    assert table.frame.rows() == [tuple(cell or None for cell in row) for row in rows]
    assert table.row_numbers.tolist() == list(range(1, len(rows) + 1))
    assert table.rejected == ()


def test_a_single_column_has_no_separator_that_could_stand_in_it(tmp_path: Path) -> None:
    table = read(write(tmp_path, "name\none\x1ftwo words\n"))
    assert table.frame.rows() == [("one\x1ftwo words",)]


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=200), suffix=st.sampled_from([".csv", ".txt", ".jsonl", ".json", ".parquet", ".gz"]))
def test_any_bytes_give_a_table_or_one_clear_error(
    content: bytes, suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with contextlib.suppress(DataError, SchemaError):
        assert len(read(write(tmp_path_factory.mktemp("bytes"), content, f"data{suffix}"))) > 0


@pytest.mark.parametrize("separator", dialects.SEPARATORS)
def test_separator_is_recognised_and_noted(tmp_path: Path, separator: str) -> None:
    table = read(write(tmp_path, f'a{separator}b\n1{separator}"x,;|\ty"\n2{separator}z\n'))
    assert table.frame.rows() == [("1", "x,;|\ty"), ("2", "z")]
    shown = "tab" if separator == "\t" else f"'{separator}'"
    assert table.notes == (() if separator == "," else (f"data.csv: read with separator {shown}",))


def test_decimal_commas_are_not_separators(tmp_path: Path) -> None:
    path = write(tmp_path, "x;y;z\n1,5;2,5;3,5\n2,5;3,5;4,5\n")
    assert read(path, decimal="point").frame.rows() == [("1,5", "2,5", "3,5"), ("2,5", "3,5", "4,5")]
    assert read(path).frame.rows() == [("1.5", "2.5", "3.5"), ("2.5", "3.5", "4.5")]
    assert read(path).notes == ("data.csv: read with separator ';', with decimal commas",)
    assert read(path).decimal == "comma"


@pytest.mark.parametrize(
    "rows",
    [
        ["1,234;x", "2,500;y"],
        ["1,5;2.5", "2,5;3.25"],
        ["1,2;x", "1,2,3;y"],
        ["S, M;1", "1,5;2", "L;3"],
    ],
    ids=["thousands", "points elsewhere", "lists", "words"],
)
def test_commas_that_may_be_something_else_stay(tmp_path: Path, rows: list[str]) -> None:
    table = read(write(tmp_path, "\n".join(["a;b", *rows, ""])))
    assert table.decimal == "point"
    assert table.frame.rows() == [tuple(row.split(";")) for row in rows]


def test_only_numbers_are_written_with_points(tmp_path: Path) -> None:
    cells = ["1,5", "-0,25", "1.234,5", "1.234", "12", "12.5", "1,2,3", "192.168.100.200", "n/a", "3,5 kg"]
    path = write(tmp_path, "x;y\n" + "".join(f"{cell};{place}\n" for place, cell in enumerate(cells)))
    assert read(path).frame["x"].to_list() == cells  # '12.5' has a point
    pointed = ["1.5", "-0.25", "1234.5", "1234", "12", "12.5", "1,2,3", "192.168.100.200", "n/a", "3,5 kg"]
    assert read(path, decimal="comma").frame["x"].to_list() == pointed


def test_single_column_keeps_its_commas(tmp_path: Path) -> None:
    table = read(write(tmp_path, 'text\nhello, world\nyes\n"quoted, too"\n'))
    assert table.frame["text"].to_list() == ["hello, world", "yes", "quoted, too"]


def test_spaces_after_separators_do_not_break_quoted_cells(tmp_path: Path) -> None:
    table = read(write(tmp_path, 'a, b\n1, "x, y"\n2, z\n'))
    assert table.frame.rows() == [("1", "x, y"), ("2", "z")]
    assert table.notes == ("data.csv: read without the spaces after separators",)


def test_backslash_escapes_are_recognised(tmp_path: Path) -> None:
    table = read(write(tmp_path, 'a,b\n1,"say \\"hi\\", please"\n2,z\n'))
    assert table.frame["b"].to_list() == ['say "hi", please', "z"]
    assert table.notes == ("data.csv: read with backslashes as escapes",)


def test_quotes_that_enclose_nothing_are_ordinary_characters(tmp_path: Path) -> None:
    table = read(write(tmp_path, 'a\tb\n"Yes," he said\t1\n"No\t0\nplain\t1\n', "data.tsv"))
    assert table.frame["a"].to_list() == ['"Yes," he said', '"No', "plain"]
    assert table.notes == ("data.tsv: read with separator tab, with quotes as ordinary characters",)


def test_separator_that_is_set_wins(tmp_path: Path) -> None:
    path = write(tmp_path, "a:b,c\n1:x,3\n")
    table = read(path, separator=":")
    assert (table.columns, table.notes) == (["a", "b,c"], ())
    assert read(write(tmp_path, "a\tb\n1\t2\n"), separator="tab").columns == ["a", "b"]


def test_wrong_separator_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.csv: expected the separator ';', as data.separator says, found ','"):
        read(write(tmp_path, "a,b\n1,2\n"), separator=";")
    with pytest.raises(ConfigError, match=r"data.separator: expected one character, or a word: .* found '::'"):
        read(write(tmp_path, "a,b\n1,2\n"), separator="::")


def test_header_names_are_stripped_and_filled_in(tmp_path: Path) -> None:
    assert read(write(tmp_path, " a , 标签 ,\n1,2,3\n")).columns == ["a", "标签", "column_3"]


def test_duplicate_names_raise(tmp_path: Path) -> None:
    with pytest.raises(
        SchemaError, match=r"data.csv, header: expected a name of its own for each column, found 'b', 'a' more"
    ):
        read(write(tmp_path, "b,a,b,c,a\n1,2,3,4,5\n"))


@pytest.mark.parametrize("content", ["", "\n\n", "\r\n"])
def test_empty_file_raises(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match=r"data.csv: .* found an empty file"):
        read(write(tmp_path, content))


@pytest.mark.parametrize("content", ["a,b\n", "a,b", "a,b\n\n \n", "text\n"])
def test_header_alone_raises(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match=r"data.csv: expected rows, found none"):
        read(write(tmp_path, content))


def test_unreadable_header_raises(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.csv, header: expected the names .* a quote in it is not closed"):
        read(write(tmp_path, '"a" x,"b"\n"1","2"\n"3","4"\n'))


def test_empty_cells_are_null_and_blank_lines_are_no_rows(tmp_path: Path) -> None:
    table = read(write(tmp_path, 'a,b\n1,\n\n,""\n  \n" ",x\n'))
    assert table.frame.rows() == [("1", None), (None, None), (" ", "x")]
    assert table.row_numbers.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("bad", "column", "reason"),
    [
        ("150,a,b", "", "it has 3 cells where the header has 2"),
        ("150", "", "it has 1 cells where the header has 2"),
        ("150,a\0b", "text", "NUL"),
        ('150,"a', "", "a quote is opened and never closed"),
        ('150,"a" b', "", "a quote is not closed, or a quote inside a quoted cell is not doubled"),
    ],
)
def test_bad_row_is_set_aside_and_no_other(tmp_path: Path, bad: str, column: str, reason: str) -> None:
    assert_one_rejected(read(write(tmp_path, with_bad_row(bad))), column, reason)


def test_open_quote_before_quoted_cells_costs_one_row(tmp_path: Path) -> None:
    content = with_bad_row('150,"a').replace("151,text 151", '151,"text, 151"').replace("152,text 152", '152,"""x"""')
    table = read(write(tmp_path, content))
    assert_one_rejected(table, "", "a quote is not closed")
    assert table.frame["text"].to_list()[149:151] == ["text, 151", '"x"']


def test_oversize_cell_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialects, "MAX_CELL", 50)
    path = write(tmp_path, with_bad_row("150," + "x" * 60))
    assert_one_rejected(read(path), "", "a cell is longer than 50 characters")
    path = write(tmp_path, with_bad_row('150,"x'))
    assert_one_rejected(read(path), "", "a quote is not closed within 50 characters")


def test_oversize_line_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "MAX_LINE", 50)
    monkeypatch.setattr(dialects, "MAX_LINE", 50)
    assert_one_rejected(read(write(tmp_path, with_bad_row("150," + "x" * 120))), "", "a line is longer than 50")


def test_limit_of_the_standard_library_is_set_back(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    read(write(tmp_path, f"a,b\n1,{'x' * 200_000}\n"))
    assert csv.field_size_limit() == before


def test_too_many_bad_rows_raise(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"at most 1% of the rows.*found 2 of 3 \(the first: row 2, it has 3 cells"):
        read(write(tmp_path, "a,b\n1,2\n1,2,3\n1,2,3\n"))


def test_hopeless_file_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "HOPELESS_ROWS", 10)
    with pytest.raises(DataError, match=r"found 11 of 11"):
        read(write(tmp_path, "a,b\n" + "1\n" * 1000))


def test_batches_keep_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BATCH_ROWS", 7)
    assert_one_rejected(read(write(tmp_path, with_bad_row("150,a\0b"))), "text", "NUL")
    monkeypatch.setattr(delimited, "BATCH_CHARACTERS", 20)
    assert_one_rejected(read(write(tmp_path, with_bad_row("150"))), "", "1 cells")


@pytest.mark.parametrize("name", ["adult/adult.csv", "waimai/waimai_10k.csv", "mrpc/train.csv", "multi30k/test.csv"])
def test_real_tables_read_as_polars_reads_them(shared_data: Path, name: str) -> None:
    table = read(shared_data / name)
    expected = pl.read_csv(shared_data / name, infer_schema=False)
    assert table.frame.equals(expected.with_columns(pl.when(pl.all() != "").then(pl.all()).name.keep()))
    assert table.folder == (shared_data / name).parent
    assert (table.notes, table.rejected) == ((), ())


@pytest.mark.parametrize("name", ["waimai/waimai_10k.csv", "adult/adult.csv"])
def test_real_tables_survive_another_dialect(shared_data: Path, tmp_path: Path, name: str) -> None:
    frame = read(shared_data / name).frame.rename(lambda column: f"列 {column}").head(5_000)
    frame = frame.with_columns(pl.when(pl.int_range(pl.len()) % 7 > 0).then(pl.first()).name.keep())
    path = write(tmp_path, frame.write_csv(separator=";").encode("gb18030"))
    table = read(path)
    assert table.frame.equals(frame)
    assert table.notes == ("data.csv: read as GB18030 with separator ';'",)


def test_plain_text_is_no_table(tmp_path: Path, shared_data: Path) -> None:
    assert not dialects.is_table(write(tmp_path, "Hello, world.\nGood night, moon.\n"), UTF8)
    assert not dialects.is_table(shared_data / "shakespeare" / "input.txt", UTF8)
    assert not dialects.is_table(write(tmp_path, "| a | b |\n|---|---|\n| 1 | 2 |\n"), UTF8)
    assert dialects.is_table(write(tmp_path, "id\ttext\n1\tyes, it is\n2\tno\n"), UTF8)


class TestHeader:
    @pytest.mark.parametrize(
        ("above", "found"),
        [
            ("Staff 2024,,\n", "'Staff 2024' alone, and 'age', 'city', 'paid' further down"),
            ("Staff 2024,,\nBy HR,,\n,,\n", "'Staff 2024' alone, and 'age', 'city', 'paid' further down"),
            ("Staff 2024\n\n", "'Staff 2024' alone, and 'age', 'city', 'paid' further down"),
            (",,\n", "an empty line, and 'age', 'city', 'paid' further down"),
        ],
        ids=["title", "several lines", "shorter line", "empty line"],
    )
    def test_lines_above_the_names_are_refused(self, tmp_path: Path, above: str, found: str) -> None:
        rows = "".join(f"{30 + i},Paris,yes\n" for i in range(20))
        with pytest.raises(DataError, match=rf"header: expected the names .* found {found}. Remove the lines above"):
            read(write(tmp_path, f"{above}age,city,paid\n{rows}"))

    def test_a_row_of_data_in_its_place_is_refused(self, tmp_path: Path) -> None:
        rows = [f"{4 + i % 5}.{i},{i % 7},{'setosa' if i % 2 else 'other'}\n" for i in range(20)]
        with pytest.raises(DataError, match=r"a row of data, '5.1', '3', 'setosa'. Add a line with the names"):
            read(write(tmp_path, "".join(["5.1,3,setosa\n", *rows])))

    @pytest.mark.parametrize("names", ["0,1,label", "1,2,3", "2019,2020,2021", "a,b,0", ",x,y", "no,yes,label"])
    def test_unusual_names_are_names(self, tmp_path: Path, names: str) -> None:
        rows = "".join(f"{i % 3},{i % 2},{'no' if i % 2 else 'yes'}\n" for i in range(20))
        assert len(read(write(tmp_path, f"{names}\n{rows}"))) == 20

    def test_a_column_may_hold_its_own_name(self, tmp_path: Path) -> None:
        rows = "".join(f"{'red' * (i % 2)},{'blue' * (i % 3 > 0)},yes\n" for i in range(20))
        assert len(read(write(tmp_path, f"red,blue,label\n{rows}"))) == 20

    def test_a_line_of_several_commas_here_and_there_is_no_title(self, tmp_path: Path) -> None:
        rows = "".join(f"well, {'this, ' * (i % 4)}is text\n" for i in range(40))
        assert read(write(tmp_path, f"text\n{rows}")).columns == ["text"]

    def test_a_header_in_the_middle_is_set_aside(self, tmp_path: Path) -> None:
        rows = [f"{i},text {i}" for i in range(150)]
        table = read(write(tmp_path, "\n".join(["n,text", *rows, "n,text", *rows, ""])))
        assert len(table) == 300
        assert [(row.row, row.reason) for row in table.rejected] == [(151, "it repeats the header")]
