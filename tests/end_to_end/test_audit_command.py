"""`luban audit`: what it says, writes and exits with."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest


def write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    lines = [f"{(7 * n) % 41},{'ab'[n % 3 == 0]},{'yes' if n % 2 else 'no'}" for n in range(60)]
    write(tmp_path / "sheet.csv", "x,z,y\n" + "\n".join([*lines, lines[0]]) + "\n")
    return tmp_path / "sheet.csv"


def test_findings_are_shown_written_and_fixed_in_a_copy(luban, sheet: Path, tmp_path: Path) -> None:
    before = sheet.read_bytes()
    result = luban("audit", "sheet.csv", "--fix", "duplicates", "-o", "clean.parquet", "--json", "found.json")
    assert result.code == 0, result.err
    assert "repeats another row in everything" in result.out
    assert "checks in" in result.out
    assert pl.read_parquet(tmp_path / "clean.parquet").height == 60
    assert sheet.read_bytes() == before
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["rows"] == 61
    assert {"name", "rows", "seconds", "findings", "checks", "suspects"} <= set(found)
    again = luban("audit", "sheet.csv", "--fix", "duplicates", "-o", "clean.parquet")
    assert again.code == 1
    assert "does not exist yet" in again.err


def test_errors_and_warnings_have_exit_codes_of_their_own(luban, tmp_path: Path) -> None:
    rows = [f"{(7 * n) % 41},{'yes' if n % 2 else 'no'}" for n in range(60)]
    write(tmp_path / "case.csv", "x,y\n" + "\n".join([*rows, "3,YES"]) + "\n")
    assert luban("audit", "case.csv").code == 0
    assert luban("audit", "case.csv", "--strict").code == 4
    write(tmp_path / "one.csv", "x,y\n" + "\n".join(f"{n % 7},a" for n in range(30)) + "\n")
    assert luban("audit", "one.csv").code == 3
    assert "Exit codes" in luban("audit", "--help").out


def test_chinese_headers_and_semicolons(luban, tmp_path: Path) -> None:
    rows = [f"{n % 13};很好吃的菜{n};{'好' if n % 2 else '坏'}" for n in range(60)]
    write(tmp_path / "评论.csv", "数量;评论;标签\n" + "\n".join([*rows, "-3;难吃;坏", ";;坏"]) + "\n")
    result = luban("audit", "评论.csv")
    assert result.code == 0, result.err
    assert "数量" in result.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.csv",), "nothing there"),
        (("sheet.csv", "--target", "yy"), "Did you mean 'y'"),
        (("empty.csv",), "empty"),
        (("sheet.csv", "--fix", "duplicates"), "-o FILE"),
        (("sheet.csv", "--fix", "duplicate", "-o", "c.csv"), "Did you mean 'duplicates'"),
        (("sheet.csv", "-o", "c.csv"), "--fix NAME"),
        (("sheet.csv", "--fix", "duplicates", "-o", "sheet.csv", "--overwrite"), "original"),
        (("sheet.csv", "--fix", "duplicates", "-o", "c.xls"), "ending"),
        (("sheet.csv", "--against", "other.csv"), "'x'"),
    ],
)
def test_a_mistake_gets_one_sentence(
    luban, sheet: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    write(tmp_path / "empty.csv", "")
    write(tmp_path / "other.csv", "a,b\n1,2\n")
    result = luban("audit", *arguments)
    assert result.code == 1
    assert words in result.err
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err


def test_settings_of_the_data_hold_for_the_audit(luban, tmp_path: Path) -> None:
    rows = [f"{'none' if n % 3 == 0 else n % 13},{n},{'yes' if n % 2 else 'no'}" for n in range(90)]
    write(tmp_path / "sheet.csv", "x,z,paid\n" + "\n".join(rows) + "\n")
    assert "not 'none'" in luban("audit", "sheet.csv", "--target", "paid").out
    told = luban("audit", "sheet.csv", "--target", "paid", "--set", "data.missing_values=[none]")
    assert told.code == 0, told.err
    assert "not 'none'" not in told.out
    write(tmp_path / "run.yaml", "data: {train: sheet.csv, target: z, columns: {x: ignore}}\n")
    told = luban("audit", "run.yaml")
    assert told.code == 0, told.err
    assert "not 'none'" not in told.out
    refused = luban("audit", "sheet.csv", "--set", "data.missing_value=[none]")
    assert refused.code == 1
    assert "Did you mean 'missing_values'" in refused.err
