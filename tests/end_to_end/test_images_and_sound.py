"""Pictures and sounds, in Parquet cells and by path, through the command line."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import soundfile
from PIL import Image


def png(label: int, draw: np.random.Generator) -> bytes:
    pixels = draw.integers(0, 60, (12, 12)).astype(np.uint8)
    pixels[:, 6 * label : 6 * label + 6] += 150
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_tones(folder: Path, rows: int) -> None:
    """Write high and low tones in turn, in noise, and the manifest that names them."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for row in range(rows):
        time = np.arange(2000) / 8000
        wave = np.sin(2 * np.pi * (300 if row % 2 else 1500) * time) + draw.normal(0, 0.1, 2000)
        soundfile.write(folder / f"{row}.wav", 0.4 * wave, 8000)
    names, pitches = [f"{row}.wav" for row in range(rows)], ["low" if row % 2 else "high" for row in range(rows)]
    pl.DataFrame({"audio": names, "pitch": pitches}).write_csv(folder / "manifest.csv")


def test_pictures_in_parquet_cells(luban, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 300).tolist()
    cells = [{"bytes": png(label, draw), "path": None} for label in labels]
    pl.DataFrame({"image": cells, "label": labels}).write_parquet(tmp_path / "digits.parquet")
    options = ("--set", "train.epochs=4", "--set", "train.augment=none", "--set", "train.batch_size=16")
    result = luban("train", "digits.parquet", "--model", "mlp", *options)
    assert result.code == 0, result.err
    assert json.loads((tmp_path / "runs/digits/metrics.json").read_text())["scores"]["accuracy"]["value"] > 0.9
    assert luban("predict", "runs/digits", "digits.parquet", "-o", "out.jsonl").code == 0


def test_the_files_of_one_folder_are_never_taken_for_those_of_another(luban, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name, flip in (("train", 0), ("same", 0), ("mirrored", 1)):
        (tmp_path / name).mkdir()
        labels = [i % 2 for i in range(120)]
        for i, label in enumerate(labels):
            (tmp_path / name / f"{name if name == 'train' else 'test'}{i}.png").write_bytes(png(label ^ flip, draw))
        names = [f"{name if name == 'train' else 'test'}{i}.png" for i in range(120)]
        pl.DataFrame({"image": names, "label": labels}).write_csv(tmp_path / name / "manifest.csv")
    options = (
        "--model",
        "mlp",
        "--set",
        "train.epochs=6",
        "--set",
        "train.augment=none",
        "--set",
        "train.batch_size=16",
    )
    for test in ("same", "mirrored"):
        result = luban("train", "train", "--test", test, "--name", test, *options)
        assert result.code == 0, result.err
    accuracy = [
        json.loads((tmp_path / f"runs/{test}/metrics.json").read_text())["scores"]["accuracy"]["value"]
        for test in ("same", "mirrored")
    ]
    assert accuracy[0] > 0.9
    assert accuracy[1] < 0.1


def test_sounds_by_path(luban, tmp_path: Path) -> None:
    write_tones(tmp_path / "sounds", 80)
    result = luban("train", "sounds", "--target", "pitch", "--set", "train.epochs=6")
    assert result.code == 0, result.err
    run = tmp_path / "runs" / "sounds"
    assert json.loads((run / "metrics.json").read_text())["scores"]["accuracy"]["value"] > 0.7
    shutil.copytree(run, tmp_path / "copy")
    assert luban("predict", "copy", "sounds", "-o", "out.csv").code == 0
    assert pl.read_csv(tmp_path / "out.csv").height == 80


def test_the_boxes_of_a_picture_stay_in_one_part_and_a_named_split_is_warned_of(luban, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    lines = []
    for picture in range(40):
        (tmp_path / f"{picture}.png").write_bytes(png(picture % 2, draw))
        lines += [f"{picture}.png,{draw.normal():.4f},{'ab'[box % 2]}" for box in range(4)]
    (tmp_path / "boxes.csv").write_text("\n".join(["image,x,y", *lines]) + "\n", "utf-8")
    audited = luban("audit", "boxes.csv", "--json", "found.json")
    assert audited.code == 0, audited.err
    assert "160 rows (100 %) share an image file with a row of other inputs" in audited.out
    assert "shared-files" in {found["check"] for found in json.loads((tmp_path / "found.json").read_text())["findings"]}
    options = (
        "--model",
        "mlp",
        "--set",
        "train.epochs=1",
        "--set",
        "train.batch_size=16",
        "--set",
        "train.preflight=0",
    )
    kept = luban("train", "boxes.csv", "--name", "kept", *options)
    assert kept.code == 0, kept.err
    tested = pl.read_parquet(tmp_path / "runs/kept/predictions.parquet")["row"].to_numpy()
    assert set(np.bincount((tested - 1) // 4)) == {0, 4}
    assert "shared_files: together" in (tmp_path / "runs/kept/config.yaml").read_text()
    parted = luban("train", "boxes.csv", "--name", "parted", "--set", "data.split.method=random", *options)
    assert parted.code == 0, parted.err
    found = json.loads((tmp_path / "runs/parted/audit.json").read_text())["findings"]
    assert ("shared-files", "warning") in {(finding["check"], finding["severity"]) for finding in found}
    assert "keep them in one part, data.split.shared_files=together" in parted.out
