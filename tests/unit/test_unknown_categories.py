"""Missing and unseen categories: a share of the ids stands for them in training, so that their vectors are learned."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch
from one_target import outputs_of, targets_of

from luban.core.runtime import seeded
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind, only
from luban.features.base import FitContext
from luban.features.category import CategoryConfig, CategoryFeature
from luban.features.dataset import Dataset
from luban.features.number import NumberConfig, NumberFeature
from luban.models import network as networks
from luban.models.choice import NetworkConfig
from luban.models.network import Network
from luban.tasks.classification import Binary
from luban.training import recipe
from luban.training.augment import with_unknown
from luban.training.loop import Loop
from luban.training.recipe import TrainConfig


def fit(cells: list[str | None], share: float = 0.05) -> CategoryFeature:
    frame = pl.DataFrame({"c": cells}, schema={"c": pl.String})
    return CategoryFeature.fit("c", ("c",), frame, CategoryConfig(unknown_share=share), FitContext())


def test_as_many_are_replaced_as_training_lacks() -> None:
    whole = ["a", "b"] * 50
    assert fit(whole).spec().unknown == (0.05, 0.05)
    assert fit([*whole[:-2], None, "rare"]).spec().unknown == (0.04, 0.04)
    assert fit([*whole[:90], *[None] * 10]).spec().unknown == (0.0, 0.05)
    assert fit(whole, share=0).spec().unknown == (0.0, 0.0)
    feature = fit([*whole, None])
    assert CategoryFeature.from_state(feature.state(), {}).spec() == feature.spec()
    old = {name: value for name, value in feature.state().items() if name != "unknown"}
    assert CategoryFeature.from_state(old, {}).spec().unknown == (0.0, 0.0)


def test_ids_are_replaced_at_random_by_their_shares_and_the_same_ones_by_the_same_draw() -> None:
    ids = torch.full((20_000,), 7, dtype=torch.int32)
    inputs = {"c": ids, "other": ids.clone(), "x": torch.zeros(20_000, 2)}

    def changed(seed: int) -> dict[str, object]:
        return with_unknown(inputs, {"c": (0.02, 0.1)}, torch.Generator().manual_seed(seed))

    found = changed(0)["c"]
    assert isinstance(found, torch.Tensor)
    assert (found.dtype, set(found.tolist())) == (torch.int32, {0, 1, 7})
    assert abs(float((found == 0).float().mean()) - 0.02) < 0.005
    assert abs(float((found == 1).float().mean()) - 0.1) < 0.01
    assert torch.equal(found, changed(0)["c"])  # type: ignore[arg-type]
    assert not torch.equal(found, changed(1)["c"])  # type: ignore[arg-type]
    assert changed(0)["other"] is inputs["other"]
    assert set(ids.tolist()) == {7}


def answers(seed: int, unknown: tuple[float, float]) -> np.ndarray:
    """Return what a network says of ids 0 to 3, whose rows of 2 are all of one class and those of 3 of the other."""
    rows = 256
    ids = np.tile([2, 3], rows // 2).astype(np.int32)
    positions = np.arange(rows, dtype=np.int64)
    data = Dataset(
        {"c": EncodedColumn(TensorKind.IDS, ids)},
        targets_of((ids - 2).astype(np.int64)),
        positions,
        positions,
        {},
    )
    config = NetworkConfig.model_validate({"hidden": [8], "dropout": 0.0})
    spec = networks.specify(config, [InputSpec("c", TensorKind.IDS, 4, unknown=unknown)], outputs_of(1))
    with seeded(seed, "initialisation"):
        network = Network(spec)
    train = recipe.complete(
        TrainConfig(epochs=12, batch_size=16, patience=0, optim={"learning_rate": 0.01}), spec, rows, None
    )  # type: ignore[arg-type]
    loop = Loop(
        network, Binary.fit(pl.Series("y", [0, 1])), data, data, train, seed, torch.device("cpu"), torch.float32, []
    )
    for _ in loop.run():
        pass
    with torch.no_grad():
        return only(network.eval()({"c": torch.arange(4)})).sigmoid()[:, 0].numpy()


def test_what_is_said_of_them_is_learned_and_hardly_depends_on_the_seed() -> None:
    found = np.stack([answers(seed, (0.05, 0.05)) for seed in range(3)])
    assert (found[:, 2] < 0.1).all()
    assert (found[:, 3] > 0.9).all()
    assert (np.abs(found[:, :2] - 0.5) < 0.2).all()
    drawn = np.stack([answers(seed, (0.0, 0.0)) for seed in range(3)])
    assert np.ptp(drawn[:, :2], axis=0).max() > 2 * np.ptp(found[:, :2], axis=0).max()


def test_columns_that_lack_cells_as_training_did_not_are_told() -> None:
    frame = pl.DataFrame({"c": [None, None, "a"]}, schema={"c": pl.String})
    assert fit(["a", "b"] * 5).remarks(frame) == [
        "column 'c': 2 of 3 rows are empty (67%), which training never lacked"
    ]
    assert fit([*["a", "b"] * 25, None]).remarks(frame) == ["column 'c': 2 of 3 rows are empty (67%), in training 2.0%"]
    assert fit(["a", "b", None]).remarks(frame) == fit(["a", "b"]).remarks(frame[2:]) == []
    numbers = pl.DataFrame({"c": [1.0, None, float("nan"), 4.0]})
    number = NumberFeature.fit("c", ("c",), numbers[:1], NumberConfig(), FitContext())
    assert number.remarks(numbers) == ["column 'c': 2 of 4 rows are empty (50%), which training never lacked"]
