"""Where no terminal breaks the lines: prose is wrapped, tables, paths and commands are not."""

from __future__ import annotations

import errno
import io
import sys

import polars as pl
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from luban.commands.demo import UNSEEN, demo
from luban.core import events
from luban.report.terminal import Terminal
from luban.report.wrapping import Output, open_console, plain_width, safe, say, show_table, wrapped

SENTENCE = "The model does not clearly beat the linear baseline (accuracy 0.974 against 0.970; it may be chance)."
PATH = "/data/a folder/" + "very-long-name-" * 8 + "rows.csv"


def plain(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False, soft_wrap=True)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_the_width_is_that_of_columns_or_80(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert plain_width() == 80
    assert open_console().width == 80
    monkeypatch.setenv("COLUMNS", "132")
    assert plain_width() == 132
    assert open_console().width == 132
    monkeypatch.setenv("COLUMNS", "wide")
    assert plain_width() == 80


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_prose_is_wrapped_under_its_beginning(width: int) -> None:
    lines = wrapped(f"{'verdict':<11} {SENTENCE}", 12, width).split("\n")
    assert all(len(line) <= width for line in lines)
    assert all(line.startswith(" " * 12) for line in lines[1:])
    assert " ".join(line.strip() for line in lines) == f"{'verdict':<11} {SENTENCE}"


def test_chinese_takes_two_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = wrapped("audit       " + "列 '资本收益' 有 14 行 " * 6, 12, 60).split("\n")
    assert 50 < max(map(cell_len, lines)) <= 60
    assert "".join(lines).replace(" ", "") == "audit" + "列'资本收益'有14行" * 6


def test_words_stay_whole_and_a_narrow_width_keeps_room_for_some() -> None:
    assert PATH.split("/")[-1] in wrapped(f"wrote {PATH}", 4, 40)
    assert wrapped("non-negative", 0, 5) == "non-negative"
    assert wrapped("one two three four five six", 12, 3).split("\n") == [
        "one two three four five six",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_a_log_has_wrapped_prose_and_whole_records(width: int) -> None:
    console = plain(width)
    terminal = Terminal(console)
    terminal(events.Noted("split", SENTENCE * 2))
    terminal(events.RunSaved(PATH, f"{PATH}/report.html"))
    lines = printed(console)
    first = next(place for place, line in enumerate(lines) if line.startswith("run "))
    assert first > 1
    assert all(len(line) <= width for line in lines[:first])
    assert lines[first:] == [
        f"run         {PATH}",
        f"report      {PATH}/report.html",
        f"            luban predict '{PATH}' new.csv -o predictions.csv",
    ]


def test_a_table_is_as_wide_as_it_is_and_the_console_keeps_its_width() -> None:
    table = Table(box=None)
    table.add_column("name", overflow="fold")
    table.add_row("x" * 300)
    console = plain()
    show_table(console, table)
    assert [line.strip() for line in printed(console)] == ["name", "x" * 300]
    assert console.width == 80
    inside = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None, _environ={"TERM": "xterm"})
    show_table(inside, table)
    assert len(printed(inside)) > 2


def test_the_demo_wraps_the_texts_that_it_predicts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stub:
        def predict(self, rows: dict[str, list[str]]) -> pl.DataFrame:
            count = len(rows["text"])
            return pl.DataFrame({"label": ["acq"] * count, "probability_acq": [0.97] * count})

    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("luban.interface.train_from_settings", lambda *_, **__: Stub())
    demo("runs")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    words = " ".join(" ".join(lines).split())
    assert all(text in words for text in UNSEEN[1].split())


def test_a_training_goes_on_where_nobody_reads_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Broken())
    terminal = Terminal()
    terminal(events.Noted("read", "something"))
    terminal(events.Noted("read", "something else"))
    open_console().print("x")
    say("x")


@pytest.mark.parametrize("is_terminal", [False, True])
def test_nothing_of_the_data_steers_a_terminal_or_is_markup(is_terminal: bool) -> None:
    stream = io.StringIO()
    console = Output(stream, width=200, force_terminal=is_terminal, color_system=None, _environ={"TERM": "xterm"})
    bad = "\x1b]52;c;aGk=\x07 [/b] [red] :warning: \u202e\x00"
    told = "\\x1b]52;c;aGk=\\x07 [/b] [red] :warning: \\u202e\\x00"
    table = Table(title=bad)
    table.add_column(bad)
    table.add_row(bad)
    console.print(table)
    console.print(safe(bad))
    console.print(bad)
    terminal = Terminal(console)
    terminal(events.Noted("read", bad))
    terminal(events.SchemaInferred(2, ((bad, "text", bad, bad),), bad, "binary"))
    found = stream.getvalue()
    assert not set(found) & set("\x1b\x07\x00\u202e")
    assert found.count(told) == 8  # the name of a column is folded
