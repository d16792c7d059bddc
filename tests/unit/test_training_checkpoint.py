"""Checkpoints on disk: whole or absent, verified, few; what a damaged one and a full disk do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import torch
from small_loop import events_of, small_loop, weights_after

from luban.core.errors import ArtifactError
from luban.core.events import Noted, Resumed
from luban.training.checkpoint import Checkpoints

TENSORS = {"w": torch.arange(1000.0)}


def state(step: int, epoch: int = 1, batch: int = 1) -> dict[str, int]:
    return {"step": step, "epoch": epoch, "batch": batch}


def saved(folder: Path, *steps: int) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    for step in steps:
        checkpoints.save(state(step), {"w": TENSORS["w"] + step}, {})
    return checkpoints


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_newest_comes_back_with_its_counters_and_bits(tmp_path: Path) -> None:
    saved(tmp_path / "c", 1, 2)
    found = Checkpoints(tmp_path / "c").newest()
    assert found is not None
    assert found.state == state(2)
    assert torch.equal(found.tensors["w"], TENSORS["w"] + 2)


def test_two_are_kept_and_the_newest_from_the_start_of_an_epoch_and_their_best_weights(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "c")
    for epoch in (1, 2):
        checkpoints.keep_best(epoch, {"w": TENSORS["w"]})
        checkpoints.save(state(10 * epoch, epoch, batch=0), TENSORS, TENSORS)
        for batch in (1, 2, 3):
            checkpoints.save(state(10 * epoch + batch, epoch, batch), TENSORS, TENSORS)
    steps = ["step-00000020-00002", "step-00000022-00002", "step-00000023-00002"]
    expected = {f"{name}.{ending}" for name in steps for ending in ("json", "safetensors")}
    assert names(tmp_path / "c") == expected | {"best-00000002.safetensors"}


@pytest.mark.parametrize("ending", ["json", "safetensors"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_a_damaged_checkpoint_is_passed_over_with_a_note(tmp_path: Path, ending: str, damage: str) -> None:
    saved(tmp_path / "c", 1, 2)
    path = tmp_path / "c" / f"step-00000002-00001.{ending}"
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    checkpoints = Checkpoints(tmp_path / "c")
    found = checkpoints.newest()
    assert found is not None
    assert found.state["step"] == 1
    if (ending, damage) != ("json", "missing"):  # without its JSON file a checkpoint was never written
        (note,) = checkpoints.notes
        assert note.startswith("the checkpoint step-00000002-00001.json is damaged")


def test_damaged_best_weights_make_the_checkpoint_damaged(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path / "c", 1)
    checkpoints.keep_best(2, TENSORS)
    checkpoints.save(state(2), TENSORS, TENSORS)
    (tmp_path / "c" / "best-00000002.safetensors").write_bytes(b"rubbish")
    found = Checkpoints(tmp_path / "c").newest()
    assert found is not None
    assert found.state["step"] == 1


def test_no_checkpoint_is_whole(tmp_path: Path) -> None:
    saved(tmp_path / "c", 1)
    for path in (tmp_path / "c").glob("*.safetensors"):
        path.write_bytes(b"")
    assert Checkpoints(tmp_path / "c").newest() is None


def test_what_went_astray_is_forgotten(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path / "c", 1, 2)
    checkpoints.forget_after(state(1))
    found = checkpoints.newest()
    assert found is not None
    assert found.state["step"] == 1
    assert names(tmp_path / "c") == {"step-00000001-00001.json", "step-00000001-00001.safetensors"}


def test_other_data_than_at_the_start_are_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "c", {"data": "abc"}).save(state(1), TENSORS, {})
    with pytest.raises(ArtifactError, match="data: expected the same as when the run began, found abc then, xyz now"):
        Checkpoints(tmp_path / "c", {"data": "xyz"}).newest()


def test_clearing_removes_everything(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path / "c", 1)
    checkpoints.clear()
    assert not (tmp_path / "c").exists()


def test_a_run_whose_newest_checkpoint_is_damaged_says_so_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    expected = weights_after(small_loop(folder=tmp_path / "whole"))
    events_of(small_loop(folder=tmp_path / "c"), Resumed)
    newest = max((tmp_path / "c").glob("*.safetensors"), key=lambda path: path.name)
    newest.write_bytes(newest.read_bytes()[:-1])
    resumed = small_loop(folder=tmp_path / "c", resume=True)
    (note,) = events_of(resumed, Noted)
    assert "is damaged" in note.text
    found = resumed.network.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A disk of 256 KiB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk can only be mounted by root")
    yield disk  # type: ignore[misc]
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_the_checkpoint_before_it_whole(small_disk: Path) -> None:
    checkpoints = saved(small_disk / "run", 1)
    (small_disk / "other").write_bytes(bytes(240 * 1024 - 8 * 1024))
    with pytest.raises(ArtifactError, match="expected room on the disk, found a full disk. What was saved before is w"):
        checkpoints.save(state(2), {"w": torch.zeros(10_000)}, {})
    found = Checkpoints(small_disk / "run").newest()
    assert found is not None
    assert found.state["step"] == 1
    assert torch.equal(found.tensors["w"], TENSORS["w"] + 1)
