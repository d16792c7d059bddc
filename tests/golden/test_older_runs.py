"""Runs that released versions made still load, predict what they predicted, and can be scored and shown.

Each archive holds a run directory and the rows that it was trained on, beside what that version predicted of them.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import polars as pl
import pytest

import luban

ARCHIVES = sorted((Path(__file__).parent / "runs").glob("*.zip"))


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.stem)
def test_run_of_an_older_version_predicts_the_same(archive: Path, tmp_path: Path) -> None:
    with ZipFile(archive) as file:
        file.extractall(tmp_path)
    rows = pl.read_csv(tmp_path / "rows.csv")
    model = luban.load(tmp_path / "run")
    found = model.predict(rows)
    assert found.columns == [name for name in rows.columns if name.startswith(("predicted_", "probability_"))]
    for name in found.columns:
        if found[name].dtype.is_float():
            np.testing.assert_allclose(found[name].to_numpy(), rows[name].to_numpy(), atol=1e-5)
        else:
            assert found[name].cast(pl.String).to_list() == rows[name].cast(pl.String).to_list()
    assert model.evaluate(rows).rows == len(rows)
