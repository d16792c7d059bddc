from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from luban.core import artifact
from luban.core.artifact import RunDirectory, write_bytes, write_json, write_weights
from luban.core.errors import ArtifactError, ResourceError


def sealed(parent: Path) -> RunDirectory:
    run = RunDirectory.create(parent, "run")
    write_weights(run / artifact.WEIGHTS, {"head.weight": torch.eye(2)})
    run.seal({"luban": "0.1.0"})
    return run


def test_a_taken_name_is_numbered_and_nothing_is_overwritten(tmp_path: Path) -> None:
    names = [RunDirectory.create(tmp_path, "adult").path.name for _ in range(3)]
    assert names == ["adult", "adult-2", "adult-3"]


def test_weights_come_back_to_the_bit(tmp_path: Path) -> None:
    assert torch.equal(sealed(tmp_path).weights()["head.weight"], torch.eye(2))


def test_flipped_bit_in_the_weights_is_found(tmp_path: Path) -> None:
    run = sealed(tmp_path)
    content = bytearray((run / artifact.WEIGHTS).read_bytes())
    content[-1] ^= 1
    (run / artifact.WEIGHTS).write_bytes(content)
    with pytest.raises(ArtifactError, match="expected the file that the training wrote, found one that was changed"):
        run.weights()


def test_missing_run_and_unfinished_run_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="expected a run directory with a manifest.json, found none"):
        RunDirectory.open(tmp_path / "nowhere")
    run = RunDirectory.create(tmp_path, "cut")
    write_bytes(run / artifact.CONFIG, b"seed: 0\n")
    with pytest.raises(ArtifactError, match="found a run that did not finish. Go on with `luban train --resume"):
        RunDirectory.open(run.path)


def test_later_format_is_refused(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, "run")
    write_json(run / artifact.MANIFEST, {"format": 99})
    with pytest.raises(ArtifactError, match="expected format 1, found format 99"):
        RunDirectory.open(run.path)


def test_damaged_json_is_named(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, "run")
    write_bytes(run / artifact.MANIFEST, b"{")
    with pytest.raises(ArtifactError, match="manifest.json: expected a JSON file"):
        RunDirectory.open(run.path)


def test_full_disk_is_said_and_the_old_file_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.json"
    write_bytes(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArtifactError, match="expected room on the disk, found a full disk. Free some space"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]


def test_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(ArtifactError, match="expected a place that can be written"):
        RunDirectory.create(blocked, "run")


def test_what_a_kill_left_unfinished_is_no_part_of_a_sealed_run(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, "run")
    write_weights(run / artifact.WEIGHTS, {"w": torch.zeros(2)})
    (run / ".tmpAbCd12").write_bytes((run / artifact.WEIGHTS).read_bytes()[:-4])
    for name in (".metrics.json.0a1b2c3d.partial", ".tmpAbCd34", ".predictions.parquet.0a1b2c3d.partial"):
        (run / name).write_bytes(b"")
    for name in (".notes.txt.0a1b2c3d.partial", ".tmpAbCd56"):
        (run / name).write_bytes(b"mine")
    run.seal({})
    left = {path.name for path in run.path.iterdir()}
    assert left == {artifact.WEIGHTS, artifact.MANIFEST, ".notes.txt.0a1b2c3d.partial", ".tmpAbCd56"}
    assert set(run.read_json(artifact.MANIFEST)["files"]) == {artifact.WEIGHTS}


def test_a_file_that_finds_no_memory_is_not_called_damaged(tmp_path: Path) -> None:
    found = artifact.damaged(tmp_path / "metrics.json", "scores", MemoryError())
    assert isinstance(found, ResourceError)
    assert "Copy the run directory again" not in str(found)
    assert isinstance(artifact.damaged(tmp_path / "metrics.json", "scores", ValueError("cut")), ArtifactError)
