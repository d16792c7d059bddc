"""Weights files: shared memory is stored once, the header says who wrote them, the user's umask holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from luban.core import weights
from luban.core.artifact import write_bytes, write_weights


def test_one_tensor_under_several_names_is_stored_once_and_is_one_again(tmp_path: Path) -> None:
    path, table = tmp_path / "w.safetensors", torch.arange(6.0).reshape(2, 3)
    write_weights(path, {"head.weight": table, "tokens.weight": table, "body": table.T, "other": table.clone()})
    assert set(load_file(path)) == {"body", "head.weight", "other"}
    found = weights.load(path)
    assert found["tokens.weight"] is found["head.weight"]
    assert torch.equal(found["head.weight"], table)
    assert torch.equal(found["body"], table.T)
    assert found["other"].data_ptr() != found["head.weight"].data_ptr()


def test_views_of_one_storage_come_back_with_their_values(tmp_path: Path) -> None:
    flat = torch.arange(12.0)
    stored: dict[str, Tensor] = {
        "flat": flat,
        "first": flat[:6].view(2, 3),
        "middle": flat[4:9],
        "last": flat[9:],
        "every other": flat[::2],
        "scalar": flat[3],
        "bits": flat.view(torch.int32),
        "empty": flat[:0],
        "also empty": flat[:0],
        "expanded": flat[1:2].expand(3),
    }
    write_weights(tmp_path / "w.safetensors", stored)
    found = weights.load(tmp_path / "w.safetensors")
    assert found.keys() == stored.keys()
    for name, tensor in stored.items():
        assert torch.equal(found[name], tensor), name


def test_two_writings_of_the_same_weights_are_the_same_to_the_bit(tmp_path: Path) -> None:
    table = torch.arange(6.0)
    for name in ("a", "b"):
        write_weights(tmp_path / name, {**{str(i): table for i in range(20)}, "x": table[1:]}, "owner")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_weights_are_as_readable_as_every_other_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_weights(tmp_path / "w.safetensors", {"w": torch.zeros(1)})
        write_bytes(tmp_path / "config.yaml", b"")
    finally:
        os.umask(before)
    modes = {(tmp_path / name).stat().st_mode & 0o777 for name in ("w.safetensors", "config.yaml")}
    assert modes == {0o666 & ~umask}


def test_the_header_says_who_wrote_a_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, {"w": torch.zeros(4)}, "checkpoint 1")
    assert weights.mark_of(path) == {"aliases": {}, "owner": "checkpoint 1"}
    path.write_bytes(path.read_bytes()[:-3])  # cut short
    assert weights.mark_of(path) is not None
    for content in (b"", b"\xff" * 40, b"\x02" + b"\x00" * 7 + b"[]", b"\x40\x0d\x03" + b"\x00" * 5 + b"[" * 200_000):
        path.write_bytes(content)
        assert weights.mark_of(path) is None
    save_file({"w": torch.zeros(1)}, path)
    assert weights.mark_of(path) is None
    assert weights.mark_of(tmp_path / "gone") is None
    save_file({"w": torch.zeros(1)}, path, metadata={"luban": '["mine"]'})
    assert weights.mark_of(path) is None
    assert set(weights.load(path)) == {"w"}


@pytest.mark.parametrize("aliases", ['["a"]', '{"b": "c"}', '{"w": "w"}', '{"b": {}}', '{"b": null}'])
def test_a_header_that_names_what_is_not_there_is_refused(tmp_path: Path, aliases: str) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "w", metadata={"luban": f'{{"aliases": {aliases}}}'})
    with pytest.raises(ValueError, match="names tensors which are not there"):
        weights.load(tmp_path / "w")
