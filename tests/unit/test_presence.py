"""An image that is missing is absent: what stands for it in memory is never looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import torch
from PIL import Image

from luban.core.tensors import OutputKind, OutputSpec, absence
from luban.data.table import Table
from luban.features import cache
from luban.features.base import FitContext
from luban.features.dataset import Dataset
from luban.features.image import ImageConfig, ImageFeature
from luban.features.number import NumberConfig, NumberFeature
from luban.features.schema import Schema
from luban.models.choice import NetworkConfig
from luban.models.network import Network, specify

CONFIG = NetworkConfig.model_validate({"grid": {"architecture": "lenet", "channels": [4], "hidden": 8}, "hidden": [8]})
OUTPUTS = (OutputSpec("y", OutputKind.ROW, 2),)
CELLS = ["0.png", None, "2.png", "", "no.png", "5.png"]


def rows(folder: Path) -> Table:
    draw = np.random.default_rng(0)
    for cell in CELLS:
        if cell and cell != "no.png":
            Image.fromarray(draw.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(folder / cell)
    (folder / "no.png").write_bytes(b"no picture")
    frame = pl.DataFrame({"photo": CELLS, "size": np.arange(6.0)})
    return Table(frame, "rows", folder, np.arange(1, 7))


def schema_of(table: Table) -> Schema:
    context = FitContext(folder=table.folder)
    photo = ImageFeature.fit("photo", ("photo",), table.frame, ImageConfig(), context)
    size = NumberFeature.fit("size", ("size",), table.frame, NumberConfig(), context)
    return Schema((photo, size), {}, None)


def test_rows_without_an_image_are_marked_in_memory_and_in_the_cache(tmp_path: Path) -> None:
    table = rows(tmp_path)
    schema = schema_of(table)
    kept = tmp_path / "cache"
    for found, bad in (
        cache.encode(schema, table, None, None),
        cache.encode(schema, table, kept, "rows"),
        cache.encode(schema, table, kept, "rows"),
    ):
        data = Dataset.of(schema, found, {})
        assert list(bad) == [4]
        batch = data.batch(np.array([5, 4, 1, 0]))
        assert batch.inputs[absence("photo")].tolist() == [False, True, True, False]
        assert absence("size") not in batch.inputs


def test_where_every_row_has_one_nothing_is_marked(tmp_path: Path) -> None:
    table = rows(tmp_path).take(np.array([0, 2, 5]))
    schema = schema_of(table)
    found, _ = cache.encode(schema, table, None, None)
    assert absence("photo") not in Dataset.of(schema, found, {}).batch(np.arange(3)).inputs


def test_what_stands_for_an_absent_image_changes_nothing(tmp_path: Path) -> None:
    table = rows(tmp_path)
    schema = schema_of(table)
    found, _ = cache.encode(schema, table, None, None)
    batch = Dataset.of(schema, found, {}).batch(np.arange(6))
    network = Network(specify(CONFIG, schema.specs(), OUTPUTS)).eval()
    expected = network(batch.inputs)["y"]
    photo = batch.inputs["photo"]
    assert isinstance(photo, torch.Tensor)
    noise = photo.clone()
    noise[[1, 3, 4]] = torch.randn(3, *photo.shape[1:])
    torch.testing.assert_close(network({**batch.inputs, "photo": noise})["y"], expected, rtol=0, atol=0)
    without = {name: value for name, value in batch.inputs.items() if name != absence("photo")}
    assert not torch.equal(network({**without, "photo": noise})["y"], expected)


def test_runs_of_earlier_versions_see_the_mean_colour(tmp_path: Path) -> None:
    table = rows(tmp_path)
    state = {name: value for name, value in schema_of(table).features[0].state().items() if name != "absent"}
    older = ImageFeature.from_state(state, {})
    encoded = older.encode(table.frame, tmp_path)
    assert encoded.column.absent is None
    assert np.ptp(encoded.column.values[1].reshape(3, -1), axis=1).tolist() == [0, 0, 0]
