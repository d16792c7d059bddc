"""What commands print where stdout is no terminal: prose within 80 columns; tables, records, paths and data whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

WHOLE = ("epoch ", "start ", "run ", "report ")  # records, and paths to copy


def test_prose_is_wrapped_at_80_and_data_are_not(luban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    draw = np.random.default_rng(0)
    side = draw.choice(["bread", "butter"], 400)
    amount = draw.normal(size=400).round(2)
    note = [f"a note of quite a few words, number {row}, that is far longer than the eighty" for row in range(400)]
    right = draw.random(400) < np.where(side == "bread", 0.95, 0.55)
    label = np.where(right == (amount > 0), "yes", "no")
    frame = pl.DataFrame({"the side that it is of": side, "amount": amount, "note": note, "label": label})
    frame.write_csv(tmp_path / "rows.csv")
    settings = ("--set", "train.epochs=1", "--set", "data.columns={note: ignore}")
    result = luban("train", "rows.csv", "--target", "label", *settings)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    long = [line for line in lines if len(line) > 80 and not line.startswith(WHOLE) and "luban predict" not in line]
    assert not long
    assert any(line.startswith(" " * 12) for line in lines)

    result = luban("evaluate", "runs/rows", "rows.csv")
    assert result.code == 0, result.err
    prose = result.out[result.out.index("calibration") :].splitlines()
    assert max(map(len, prose)) <= 80

    result = luban("predict", "runs/rows", "rows.csv")
    assert result.out.count("\n") == 401
    assert max(map(len, result.out.splitlines())) > 100
