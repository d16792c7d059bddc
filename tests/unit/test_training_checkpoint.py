"""Checkpoints on disk: whole or absent, verified, few; what a damaged one and a full disk do."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_loop import events_of, small_loop, weights_after

from luban.core.artifact import sha256, sha256_text
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


def foreign(folder: Path) -> dict[str, bytes]:
    """Put things of somebody else's into a folder of checkpoints, and return the contents of the files."""
    (folder / "photos").mkdir()
    (folder / "step-00000007-00001.json").mkdir()
    (folder.parent / "thesis").write_text("mine")
    (folder / "step-00000001-00009.json").symlink_to(folder.parent / "thesis")
    files = {
        "notes.txt": b"mine",
        "step-evil.json": b"[]",
        "step-1-1.json": b"{}",
        "step-00000008-00001.json": b"[" * 100_000,
        "step-00000009-00001.json": b'{"facts": {}, "state": {"step": 9, "epoch": 1, "batch": 0}, "files": {}}',
        "best-00000009.safetensors": b"mine",
        ".tmpAbCd12": b"mine",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    save_file({"w": torch.zeros(2)}, folder / "step-00000009-00009.safetensors")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_files_of_somebody_else_stay_whatever_they_are_called(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    checkpoints = saved(folder, 1, 2)
    mine = {name: content for name, content in foreign(folder).items() if "-0000000" not in name or "9" in name}
    mine |= {"step-00000008-00001.json": b"[" * 100_000}
    checkpoints = Checkpoints(folder)
    found = checkpoints.newest()
    assert found is not None
    assert found.state["step"] == 2
    checkpoints.forget_after(found.state)
    for step in (3, 4, 5):
        checkpoints.save(state(step), TENSORS, {})
    own = {path.name for path in folder.glob("step-0000000[345]-*")}
    assert own == {f"step-{step:08d}-00001.{ending}" for step in (4, 5) for ending in ("json", "safetensors")}
    (note,) = checkpoints.strangers()
    assert note.startswith(f"left in {folder}, since Luban did not write it: '.tmpAbCd12', 'best-00000009.safetensors'")
    checkpoints.clear()
    assert {name: (folder / name).read_bytes() for name in mine} == mine
    assert not {path.name for path in folder.glob("step-0000000[345]-*")}
    assert (folder / "photos").is_dir()
    assert (folder / "step-00000001-00009.json").is_symlink()


def test_what_stands_in_the_place_of_a_checkpoint_is_renamed_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    checkpoints = saved(folder, 1)
    (folder / "step-00000002-00001.json").write_text("mine")
    (folder / "step-00000002-00001.safetensors").symlink_to(tmp_path / "nowhere")
    checkpoints.save(state(2), TENSORS, {})
    assert checkpoints.notes == [
        f"{folder}/step-00000002-00001.{ending} was not written by this run: it is called "
        f"step-00000002-00001.{ending}.kept now"
        for ending in ("safetensors", "json")
    ]
    assert (folder / "step-00000002-00001.json.kept").read_text() == "mine"
    assert (folder / "step-00000002-00001.safetensors.kept").is_symlink()
    found = Checkpoints(folder).newest()
    assert found is not None
    assert found.state["step"] == 2


def test_a_folder_behind_a_link_is_used_and_only_its_checkpoints_go(tmp_path: Path) -> None:
    disk, link = tmp_path / "disk", tmp_path / "run"
    disk.mkdir()
    link.symlink_to(disk)
    (disk / "thesis.docx").write_text("mine")
    checkpoints = saved(link, 1, 2, 3)
    assert {path.name for path in disk.glob("step*.json")} == {"step-00000002-00001.json", "step-00000003-00001.json"}
    assert checkpoints.strangers() == [
        f"left in {link}, since Luban did not write it: 'thesis.docx'",
        f"{link} is a link: the checkpoints behind it go, the link stays",
    ]
    checkpoints.clear()
    assert names(disk) == {"thesis.docx"}
    assert link.is_symlink()


def test_checkpoints_of_another_run_stay(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    Checkpoints(folder, {"seed": 1}).save(state(7), TENSORS, {})
    before = names(folder)
    other = Checkpoints(folder, {"seed": 2})
    for step in (8, 9, 10):
        other.save(state(step), TENSORS, {})
    other.clear()
    assert names(folder) == before


def test_what_a_kill_left_unfinished_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    checkpoints = saved(folder, 1)
    (folder / ".step-00000002-00001.safetensors.0a1b2c3d.partial").write_bytes(b"")
    (folder / ".best-00000002.safetensors.0a1b2c3d.partial").write_bytes(b"torn")
    (folder / ".step-00000002-00001.json.0a1b2c3d.partial").write_bytes(b"{")
    content = (folder / "step-00000001-00001.safetensors").read_bytes()
    (folder / ".tmpAbCd12").write_bytes(content[:-8])  # as safetensors calls a file before it is whole
    (folder / ".tmpAbCd34").write_bytes(b"")
    checkpoints.clear()
    assert not folder.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b"{}",
        b"null",
        b"\xff\xfe",
        b'{"format": 2}',
        pytest.param(b"1" * 5_000, id="a number of 5,000 digits"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_passed_over_with_a_note(tmp_path: Path, content: bytes) -> None:
    saved(tmp_path / "c", 1)
    (tmp_path / "c" / "step-00000002-00001.json").write_bytes(content)
    checkpoints = Checkpoints(tmp_path / "c")
    found = checkpoints.newest()
    assert found is not None
    assert found.state["step"] == 1
    (note,) = checkpoints.notes
    assert note == (
        "the checkpoint step-00000002-00001.json is damaged (it is not what a training writes): an older one is used"
    )


def resigned(folder: Path, **changes: object) -> None:
    """Change the newest checkpoint and sign it anew, as a forger would."""
    path = max(folder.glob("*.json"))
    content = {**json.loads(path.read_text()), **changes}
    del content["sha256"]
    path.write_text(json.dumps({**content, "sha256": sha256_text(json.dumps(content, sort_keys=True))}))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"files": {"../../secret": "0" * 64}}, "it is not what a training writes"),
        ({"files": {}}, "it is of another step than its name says"),
        ({"state": {"step": 2, "epoch": 1}}, "it is not what a training writes"),
        ({"state": {"step": 2, "epoch": 1, "batch": -1}}, "it is not what a training writes"),
        ({"state": {"step": 3, "epoch": 1, "batch": 1}}, "it is of another step than its name says"),
        ({"state": [1, 2]}, "it is not what a training writes"),
        ({"format": 1}, "it is not what a training writes"),
    ],
)
def test_a_forged_file_is_passed_over(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    saved(tmp_path / "c", 1, 2)
    resigned(tmp_path / "c", **changes)
    checkpoints = Checkpoints(tmp_path / "c")
    found = checkpoints.newest()
    assert found is not None
    assert found.state["step"] == 1
    assert f"is damaged ({reason})" in checkpoints.notes[0]


@pytest.mark.parametrize(
    ("counter", "value"),
    [
        ("epoch", 9),
        ("batch", 99),
        ("parts", 0),
        ("parts", 1.5),
        ("seconds", -1.0),
        ("seconds", float("inf")),
        ("best_score", [1.0]),
        ("best_score", ["a", "b"]),
        ("recovery", {"tries": 99, "rate_scale": 1.0, "skipped": []}),
        ("recovery", {"tries": 0, "rate_scale": 0.0, "skipped": []}),
        ("watch", {"chance": 0.0, "first": [float("nan")], "window": []}),
        ("ended_parts", {"values": {}}),
        ("more", 1),
    ],
)
def test_counters_that_no_training_has_are_passed_over(tmp_path: Path, counter: str, value: object) -> None:
    folder = tmp_path / "c"
    events_of(small_loop(folder=folder), Resumed)
    path = max(folder.glob("*.json"))
    counters = json.loads(path.read_text())["state"]
    if counter in ("step", "epoch"):
        other = path.with_name(f"step-{counters['step']:08d}-{value:05d}.json")
        weights_file = path.with_suffix(".safetensors").rename(other.with_suffix(".safetensors"))
        path.rename(other)
        resigned(folder, files={weights_file.name: sha256(weights_file)}, state={**counters, counter: value})
    else:
        resigned(folder, state={**counters, counter: value})
    loop = small_loop(folder=folder, resume=True)
    (note,) = events_of(loop, Noted)
    assert "is damaged (its counter" in note.text


def test_weights_of_another_network_are_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    events_of(small_loop(folder=folder), Resumed)
    path = max(folder.glob("*.json"))
    stored = path.with_suffix(".safetensors")
    tensors = load_file(stored)
    name = next(name for name in tensors if name.startswith("network/"))
    tensors[name] = torch.zeros(1)
    save_file(tensors, stored)
    content = json.loads(path.read_text())
    resigned(folder, files={**content["files"], stored.name: sha256(stored)})
    with pytest.raises(ArtifactError, match=r"the saved weights, .* found \(1,\) float32. Resume with the settings"):
        events_of(small_loop(folder=folder, resume=True), Resumed)
