"""Every mistake that a user can make gets one clear sentence, on the command line, and no traceback."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from luban.core import artifact

FAST = ("--set", "train.epochs=1")


def refused(result, *words: str) -> None:
    """Assert one sentence that says all these words."""
    assert result.code == 1, (result.out, result.err)
    lines = [line for line in result.err.splitlines() if line.strip()]
    assert len(lines) == 1, result.err
    assert lines[0].startswith("luban: ")
    assert "expected" in lines[0]
    assert "found" in lines[0]
    assert "Traceback" not in result.err + result.out
    for word in words:
        assert word in lines[0]


def table(rows: int = 60, **columns: list[object]) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    x = draw.normal(size=rows).round(4)
    return pl.DataFrame({"x": x, "z": draw.normal(size=rows).round(4), "y": np.where(x > 0, "yes", "no"), **columns})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("sheet.csv", "empty")),
        (b"\n\n", ("sheet.csv",)),
        (b"x,y\n", ("sheet.csv", "row")),
        (b"x,x,y\n1,2,a\n3,4,b\n", ("sheet.csv", "'x'")),
        (b"x,y\n" + b"1,a\n2,b,extra\n" * 20, ("sheet.csv", "row 2")),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, ("sheet.csv",)),
    ],
    ids=["empty", "blank", "header only", "duplicate names", "ragged", "binary"],
)
def test_file_that_is_no_table(luban, tmp_path: Path, content: bytes, words: tuple[str, ...]) -> None:
    (tmp_path / "sheet.csv").write_bytes(content)
    refused(luban("train", "sheet.csv", "--target", "y"), *words)


def test_encoding_that_is_not_the_file_s(luban, tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_bytes("x,y\n1,好\n2,坏\n".encode("gb18030") * 20)
    refused(luban("train", "sheet.csv", "--target", "y", "--set", "data.encoding=utf-8"), "sheet.csv", "encoding")


def test_source_that_is_not_there(luban) -> None:
    refused(luban("train", "nowhere.csv"), "nowhere.csv", "nothing there")


def test_target_that_is_misspelled(luban, tmp_path: Path) -> None:
    table().rename({"y": "outcome"}).write_csv(tmp_path / "sheet.csv")
    refused(luban("train", "sheet.csv", "--target", "outcom"), "'outcom'", "Did you mean 'outcome'?")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["a"] * 60, ("'a'",)),
        ([f"row {i}" for i in range(60)], ("'y'",)),
        ([None] * 60, ("'y'",)),
        ([None] * 5 + ["a", "b"] * 27 + ["a"], ("missing in 5 of 60",)),
    ],
    ids=["one class", "a class a row", "all missing", "some missing"],
)
def test_target_that_cannot_be_learned(luban, tmp_path: Path, labels: list[str | None], words: tuple[str, ...]) -> None:
    table().with_columns(y=pl.Series(labels)).write_csv(tmp_path / "sheet.csv")
    refused(luban("train", "sheet.csv", "--target", "y", "--set", "data.task=multiclass"), *words)


def test_class_with_one_row_is_named_and_trained(luban, tmp_path: Path) -> None:
    table(61).with_columns(y=pl.Series(["a", "b", "c"] * 20 + ["rare"])).write_csv(tmp_path / "sheet.csv")
    result = luban("train", "sheet.csv", "--target", "y", *FAST)
    assert result.code == 0, result.err
    assert "'rare'" in result.out


def test_target_that_is_also_an_input(luban, tmp_path: Path) -> None:
    table().with_columns(copy=pl.col("y")).write_csv(tmp_path / "sheet.csv")
    refused(luban("train", "sheet.csv", "--target", "y"), "'copy'", "ignore")


def test_numbers_that_are_none(luban, tmp_path: Path) -> None:
    odd = ["nan", "inf", "-inf", "1e999", "NA", "?"]
    table(300).with_columns(z=pl.Series(odd + [f"{i}.5" for i in range(294)])).write_csv(tmp_path / "sheet.csv")
    result = luban("train", "sheet.csv", "--target", "y", *FAST)
    assert result.code == 0, result.err
    assert "missing" in result.out


def test_few_unreadable_rows_are_listed_and_many_are_refused(luban, tmp_path: Path) -> None:
    lines = ["x,z,y"] + [f"{i % 7},{i},{'a' if i % 7 > 3 else 'b'}" for i in range(300)]
    lines[100] += ",extra"
    lines[200] = lines[200].replace(",", ",oops", 1)
    (tmp_path / "sheet.csv").write_text("\n".join(lines) + "\n")
    result = luban("train", "sheet.csv", *FAST)
    assert result.code == 0, result.err
    listed = pl.read_csv(tmp_path / "runs/sheet" / artifact.REJECTED)
    assert listed["row"].to_list() == [100, 200]
    assert "found 'oops" in listed["reason"][1]
    for row in range(20, 30):
        lines[row] = lines[row].replace(",", ",oops", 1)
    (tmp_path / "sheet.csv").write_text("\n".join(lines) + "\n")
    refused(luban("train", "sheet.csv", "--set", "data.columns={z: number}"), "at most 1%", "11 of 299")


def test_text_of_a_hundred_thousand_characters(luban, tmp_path: Path) -> None:
    texts = [("good " if i % 2 else "bad ") * (20_000 if i < 4 else 3) for i in range(80)]
    pl.DataFrame({"text": texts, "y": ["b", "a"] * 40, "n": range(80)}).write_csv(tmp_path / "sheet.csv")
    result = luban(
        "train", "sheet.csv", "--target", "y", "--model", "textcnn", "--set", "data.columns={text: text}", *FAST
    )
    assert result.code == 0, result.err


def picture(mode: str, seed: int, suffix: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    shade = 40 if seed % 2 else 200
    Image.new("RGB", (24, 24), (shade, shade // 2, shade)).convert(mode).save(buffer, suffix)
    return buffer.getvalue()


def test_pictures_of_every_kind(luban, tmp_path: Path) -> None:
    for i in range(300):
        folder = tmp_path / "pictures" / ("dark" if i % 2 else "light")
        folder.mkdir(parents=True, exist_ok=True)
        mode, suffix = [("RGB", "PNG"), ("L", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("P", "GIF")][i % 5]
        (folder / f"{i}.{suffix.lower()}").write_bytes(picture(mode, i, suffix))
    frames = [Image.new("RGB", (24, 24), (200 - f, 100, 200)) for f in range(3)]
    frames[0].save(tmp_path / "pictures/light/animated.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "pictures/light/cut.png").write_bytes(picture("RGB", 0)[:60])
    (tmp_path / "pictures/dark/empty.png").write_bytes(b"")
    result = luban(
        "train", "pictures", "--model", "lenet", "--set", "train.epochs=4", "--set", "features.image.channels=3"
    )
    assert result.code == 0, result.err
    listed = pl.read_csv(tmp_path / "runs/pictures" / artifact.REJECTED)
    assert len(listed) == 2
    assert json.loads((tmp_path / "runs/pictures/metrics.json").read_text())["scores"]["accuracy"]["value"] > 0.9
    predicted = luban("predict", "runs/pictures", "pictures", "-o", "out.csv")
    assert predicted.code == 0, predicted.err
    assert "cannot be read and counts as missing" in predicted.err
    assert pl.read_csv(tmp_path / "out.csv").height == 303


def test_pictures_that_are_missing_are_refused(luban, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for i in range(40):
        (tmp_path / f"data/{i}.png").write_bytes(picture("RGB", i))
    names = [f"{i}.png" for i in range(40)] + ["gone.png", "../sheet.csv"]
    pl.DataFrame({"image": names, "y": ["a", "b"] * 21}).write_csv(tmp_path / "data/manifest.csv")
    refused(luban("train", "data", "--target", "y"), "at most 1%", "2 rows (4.8 %) have an image", "row 41", "gone.png")


class TestPrediction:
    @pytest.fixture
    def trained(self, luban, tmp_path: Path):
        table(city=["Paris", "Lyon", "Nice"] * 20).write_csv(tmp_path / "sheet.csv")
        assert luban("train", "sheet.csv", "--target", "y", *FAST).code == 0
        return luban

    def test_missing_column_is_named(self, trained, tmp_path: Path) -> None:
        table(5, town=["Paris"] * 5).write_csv(tmp_path / "new.csv")
        refused(trained("predict", "runs/sheet", "new.csv"), "no 'city'")

    def test_added_and_reordered_columns_and_unseen_categories(self, trained, tmp_path: Path) -> None:
        new = table(5, city=["Rome", "Paris", "Lyon", None, "Nice"], extra=[1] * 5).drop("y")
        new.select("extra", "city", "z", "x").write_csv(tmp_path / "new.csv")
        result = trained("predict", "runs/sheet", "new.csv", "-o", "out.csv")
        assert result.code == 0
        assert "column 'city': 1 of 5 rows hold a value" in result.err
        columns = pl.read_csv(tmp_path / "out.csv").columns
        assert columns == ["extra", "city", "z", "x", "predicted_y", "probability_no", "probability_yes"]

    def test_labelled_rows_without_the_target(self, trained, tmp_path: Path) -> None:
        table(5, city=["Paris"] * 5).drop("y").write_csv(tmp_path / "new.csv")
        refused(trained("evaluate", "runs/sheet", "new.csv"), "'y'")

    def test_evaluate_tells_what_predict_tells_and_what_it_leaves_out(self, trained, tmp_path: Path) -> None:
        new = table(300, city=["Rome", "Paris", None] * 100, y=["?", *["yes", "no"] * 149, "no"])
        new.write_csv(tmp_path / "new.csv")
        result = trained("evaluate", "runs/sheet", "new.csv")
        assert result.code == 0, result.err
        assert "column 'city': 99 of 299 rows hold a value" in result.err
        assert "new.csv: 1 of 300 rows cannot be read and are left out of the scores (the first: row 1" in result.err

    def test_output_is_not_overwritten_unless_asked(self, trained, tmp_path: Path) -> None:
        (tmp_path / "out.csv").write_text("mine")
        refused(trained("predict", "runs/sheet", "sheet.csv", "-o", "out.csv"), "--overwrite")
        assert (tmp_path / "out.csv").read_text() == "mine"
        assert trained("predict", "runs/sheet", "sheet.csv", "-o", "out.csv", "--overwrite").code == 0

    def test_output_of_unknown_kind(self, trained) -> None:
        refused(trained("predict", "runs/sheet", "sheet.csv", "-o", "out.xlsx"), "'.xlsx'")

    def test_run_that_is_none(self, trained) -> None:
        refused(trained("predict", "sheet.csv", "sheet.csv"), "run directory")

    def test_damaged_weights(self, trained, tmp_path: Path) -> None:
        path = tmp_path / "runs/sheet" / artifact.WEIGHTS
        path.write_bytes(path.read_bytes()[:-8])
        refused(trained("predict", "runs/sheet", "sheet.csv"), "model.safetensors")


def test_place_that_cannot_be_written(luban, tmp_path: Path) -> None:
    table().write_csv(tmp_path / "sheet.csv")
    (tmp_path / "blocked").write_text("a file")
    refused(luban("train", "sheet.csv", "--target", "y", "--runs", "blocked"), "blocked", "can be written")


def test_full_disk(luban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table().write_csv(tmp_path / "sheet.csv")
    assert luban("train", "sheet.csv", "--target", "y", *FAST).code == 0

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        result = luban("train", "sheet.csv", "--target", "y", *FAST)
    refused(result, "a full disk", "Free some space")
    assert luban("predict", "runs/sheet", "sheet.csv", "-o", "out.csv").code == 0


def test_unknown_setting_and_debug(luban, tmp_path: Path) -> None:
    table().write_csv(tmp_path / "sheet.csv")
    refused(luban("train", "sheet.csv", "--set", "train.epoch=3"), "Did you mean 'epochs'")
    with pytest.raises(Exception, match="Did you mean 'epochs'"):
        luban("train", "sheet.csv", "--set", "train.epoch=3", "--debug")


def test_checkpoint_that_is_unknown(luban, tmp_path: Path) -> None:
    texts = [f"this is the {'good' if i % 2 else 'bad'} review number {i}" for i in range(60)]
    pl.DataFrame({"text": texts, "y": ["b", "a"] * 30}).write_csv(tmp_path / "sheet.csv")
    refused(luban("train", "sheet.csv", "--model", "minilmm"), "'minilmm'", "Did you mean 'minilm'")


def test_nothing_is_left_of_a_run_that_never_began(luban, tmp_path: Path) -> None:
    table().write_csv(tmp_path / "sheet.csv")
    refused(luban("train", "sheet.csv", "--target", "nope"))
    assert not os.path.lexists(tmp_path / "runs/sheet")


def test_commands_that_are_told_can_be_typed(luban, tmp_path: Path) -> None:
    (tmp_path / "my data").mkdir()
    table().rename({"y": "is it"}).write_csv(tmp_path / "my data/a sheet.csv")
    told = luban("train", "my data/a sheet.csv", "--target", "is it", "--set", "data.audit_seconds=0", *FAST)
    assert told.code == 0, told.err
    assert f"luban audit '{tmp_path}/my data/a sheet.csv' --target 'is it'" in told.out
    assert "luban predict 'runs/a sheet' new.csv" in told.out


def test_decimal_commas_of_the_training_are_those_of_other_rows(luban, tmp_path: Path) -> None:
    rows = [f"{i % 50},{i % 7};{i % 3};{'ja' if i % 50 > 24 else 'nein'}" for i in range(300)]
    (tmp_path / "werte.csv").write_text("\n".join(["Wert;Zahl;Ziel", *rows, ""]))
    told = luban("train", "werte.csv", "--target", "Ziel", *FAST)
    assert told.code == 0, told.err
    assert "read with separator ';', with decimal commas" in told.out
    assert "decimal: comma" in (tmp_path / "runs/werte/config.yaml").read_text()
    (tmp_path / "neu.csv").write_text("Wert;Zahl\n1,500;1\n49,250;0\n")  # alone, these may be thousands
    predicted = luban("predict", "runs/werte", "neu.csv")
    assert predicted.code == 0, predicted.err
    assert predicted.out.splitlines()[1].startswith('"1,500",1,nein')
    told = "neu.csv: numbers are written otherwise than in training, and read as: Wert '1,500' = 1.5\n"
    assert predicted.err == told


def test_labels_that_are_missing_may_be_none(luban, tmp_path: Path) -> None:
    tags = ["a;b", "a", "", "b;c"] * 30
    table(120, tags=tags).drop("y").write_csv(tmp_path / "sheet.csv")
    refused(luban("train", "sheet.csv", "--target", "tags"), "missing in 30 of 120", "write [] there", "--fix missing")
