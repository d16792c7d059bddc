"""Nothing in names, cells, labels or files steers a terminal or a page: every command, everything that it shows."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from luban.cli import COMMANDS, main
from luban.core.shown import UNSAFE
from luban.interface import train_from_settings

CLIPBOARD, MARKUP, TURNED, CLEAR = "\x1b]52;c;aGk=\x07", "[/b]", "\u202e", "\x1b[2J"
NUMBER, CATEGORY, TARGET = f"n{CLIPBOARD}", f"c{MARKUP}{TURNED}", f"y{CLEAR}[bold]"
LABELS = (f"no{MARKUP}{CLEAR}", f"yes{TURNED}\x00")
FILE = f"rows{CLEAR}[red]{TURNED}.jsonl"  # a name of a file holds no slash
COLOUR = re.compile(r"\x1b\[[\d;]*[mAGKJ]|\x1b\[\?25[lh]|\r")  # colours, and how the live line is drawn again


def rows() -> list[dict[str, object]]:
    return [
        {
            NUMBER: (row * 37 % 100) / 10 + 3 * (row % 2),
            CATEGORY: f"{'abc'[row % 3]}{CLIPBOARD}{MARKUP}{TURNED}\x00",
            TARGET: LABELS[row % 2],
        }
        for row in range(80)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        patch.setenv("LUBAN_CACHE", str(path / "cache"))
        Path(FILE).write_text("".join(json.dumps(row) + "\n" for row in rows()))
        settings = {
            "name": f"run[red]{TURNED}",
            "data": {"train": FILE, "target": TARGET, "columns": {CATEGORY: "category"}},
            "model": {"hidden": [4]},
            "train": {"epochs": 1},
        }
        train_from_settings(settings, "test", {}, quiet=True)
        shutil.copytree(RUN, COPY)
        yield path


RUN, COPY = Path("runs", f"run[red]{TURNED}"), Path("runs", f"copy{CLEAR}")
SHORT = ["--set", "train.epochs=1", "--set", "model.hidden=[4]"]
ARGUMENTS: dict[str, list[list[object]]] = {
    "train": [
        [FILE, "--target", TARGET, *SHORT, "--runs", f"more{CLEAR}"],
        [FILE, "--target", CLIPBOARD],
        [FILE, "--set", f"{CLEAR}=1"],
        [FILE, "--set", f"name=a/{TURNED}"],
        [f"missing{CLEAR}{TURNED}.csv"],
        ["--" + CLEAR],
    ],
    "audit": [[FILE, "--target", TARGET, "--test", FILE], [FILE, "--fix", CLEAR, "-o", "x.csv"]],
    "find-lr": [[FILE, "--target", TARGET, *SHORT]],
    "predict": [[RUN, FILE, "-o", "predictions.parquet"], [RUN, f"{CLEAR}.csv"], [CLEAR, FILE]],
    "evaluate": [[RUN, FILE, "--by", CATEGORY], [RUN, FILE, "--by", CLEAR]],
    "trace": [[RUN, 1, "-o", "trace.html"], [RUN, 1, "-o", "trace-zh.html", "--lang", "zh"], [RUN, CLEAR]],
    "compare": [[RUN, COPY, FILE], [RUN, CLEAR]],
    "report": [[RUN, "-o", "report-en.html"], [RUN, "--lang", "zh", "-o", "report-zh.html"], [RUN, "--lang", CLEAR]],
    "runs": [["runs", "--html", "runs.html"], ["runs", "--sort", CLEAR], ["runs", "--filter", f"name={CLEAR}"]],
    "explain": [[RUN, FILE, "--rows", "1,2", "--method", "occlusion"], [RUN, FILE, "--rows", CLEAR]],
    "samples": [[], ["--fetch", CLEAR]],
    "demo": [["--" + CLEAR]],
    "doctor": [["--no-speed"], [CLEAR]],
}
CODES = {"audit": 3, "demo": 2}  # of the first arguments, where they do not succeed


def names() -> list[str]:
    return [command.__name__.replace("_", "-") for command in COMMANDS]


def unsafe(text: str) -> set[str]:
    """Return what of a text would steer a terminal or a page, but for the colours that Luban puts into it."""
    return set(UNSAFE.findall(COLOUR.sub("", text))) - {"\n", "\t"}


def test_every_command_is_tried() -> None:
    assert set(ARGUMENTS) == set(names())


@pytest.mark.parametrize("is_terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize("command", names())
def test_no_command_shows_what_steers_a_terminal(
    folder: Path, command: str, is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LUBAN_CACHE", str(folder / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm-256color")
    for position, arguments in enumerate(ARGUMENTS[command]):
        if is_terminal and command in ("train", "find-lr") and position == 0:
            continue  # once is enough of what takes seconds; the lines of a training are tried in a terminal elsewhere
        more = ["--overwrite"] if any(str(argument).startswith(("-o", "--html")) for argument in arguments) else []
        monkeypatch.setattr(sys, "argv", ["luban", command, *map(str, arguments), *more])
        with pytest.raises(SystemExit) as left:
            main()
        shown = capsys.readouterr()
        assert not unsafe(shown.out), arguments
        assert not unsafe(shown.err), arguments
        assert "error of Luban's own" not in shown.err, arguments
        assert shown.out or shown.err
        if position == 0:
            assert (left.value.code or 0) == CODES.get(command, 0), shown.err


def test_no_page_and_no_card_holds_what_steers_one(folder: Path) -> None:
    pages = [*folder.rglob("*.html"), *folder.rglob("README.md"), *folder.rglob("*.svg")]
    assert {page.name for page in pages} >= {"report.html", "README.md", "learning_rate.svg", "trace.html", "runs.html"}
    for page in pages:
        text = page.read_bytes().decode()
        assert not unsafe(text), page
        assert "\x1b" not in text
    report = (folder / RUN / "report.html").read_text("utf-8")
    assert "c[/b]\\u202e" in report
    assert "yes\\u202e\\x00" in report


def test_data_are_written_as_they_are(folder: Path) -> None:
    frame = pl.read_parquet(folder / "predictions.parquet")
    assert frame.columns[:3] == [NUMBER, CATEGORY, TARGET]
    assert set(frame[f"predicted_{TARGET}"]) <= set(LABELS)
    assert frame[CATEGORY][0] == f"a{CLIPBOARD}{MARKUP}{TURNED}\x00"
