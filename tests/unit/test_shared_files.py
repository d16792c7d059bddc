"""Rows that share an image or a sound: told by the audit, and kept together by the split."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from luban.audit import Finding, Subject, audit
from luban.audit.fixes import apply_fixes
from luban.audit.shared_files import audit_shared_files
from luban.config import RunConfig, dump, parse
from luban.core.answers import AnswerKind
from luban.data import sources
from luban.data.shared_files import join_files, rarest_class, sharing
from luban.data.split.config import SplitConfig
from luban.data.split.split import split
from luban.data.split.units import Split
from luban.data.table import Table
from luban.features import schema

PICTURES, BOXES = 60, 4


def table(columns: dict[str, Any]) -> Table:
    frame = pl.DataFrame(columns)
    return Table(frame, "rows.csv", None, np.arange(1, len(frame) + 1))


def boxes(pictures: int = PICTURES, each: int = BOXES, seed: int = 0) -> dict[str, list[Any]]:
    """Several boxes in each picture; one box in twenty is of a rare class."""
    draw = np.random.default_rng(seed)
    rows = pictures * each
    return {
        "image": [f"picture{number // each}.png" for number in range(rows)],
        "x": draw.normal(size=rows).tolist(),
        "y": draw.choice(["red", "white", "rare"], rows, p=[0.7, 0.25, 0.05]).tolist(),
    }


def divided(rows: Table, config: SplitConfig, files: tuple[str, ...] = ("image",)) -> Split:
    inputs = [name for name in rows.columns if name not in ("y", config.column)]
    return split(rows, "y", inputs, config, has_test=False, stratify=True, files=files)


def parts_of(found: Split) -> list[list[int]]:
    return [part.tolist() for part in (found.train, found.validation, found.test)]


def files_in_two_parts(rows: Table, found: Split) -> int:
    names = [set(rows.frame["image"].gather(part)) - {None, ""} for part in parts_of(found)]
    return len(names[0] & names[1]) + len(names[0] & names[2]) + len(names[1] & names[2])


def subject(columns: Any, config: SplitConfig | None = None, *, budget: float | None = None, **others: Any) -> Subject:
    rows = sources.read(columns)
    kinds = {plan.name: plan.kind for plan in schema.plan(rows, target="y")}
    tables = {role: sources.read(other) for role, other in others.items()}
    return Subject(rows, "y", AnswerKind.CLASS, kinds, tables, split=config or SplitConfig(), budget=budget)


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_one_picture_stay_in_one_part_where_no_method_is_named(seed: int) -> None:
    rows = table(boxes())
    found = divided(rows, SplitConfig(seed=seed, validation=0.15, test=0.2))
    assert files_in_two_parts(rows, found) == 0
    assert sorted(row for part in parts_of(found) for row in part) == list(range(len(rows)))
    assert [len(part) for part in parts_of(found)] == pytest.approx([156, 36, 48], abs=BOXES)
    assert all("rare" in rows.frame["y"].gather(part) for part in parts_of(found))
    assert any(f"share a file of 'image' with a row of other inputs: {len(rows)}" in note for note in found.notes)


@pytest.mark.parametrize(
    "config",
    [
        SplitConfig(shared_files="apart"),
        SplitConfig(method="auto"),
        SplitConfig(method="random"),
        SplitConfig(method="stratified"),
        SplitConfig(method="time", column="x"),
    ],
)
def test_a_named_method_and_a_setting_are_kept_to_the_bit(config: SplitConfig) -> None:
    rows = table(boxes())
    found = divided(rows, config)
    assert files_in_two_parts(rows, found) > 0 or config.method == "time"
    assert parts_of(found) == parts_of(divided(rows, config, files=()))
    assert not any("share a file" in note for note in found.notes)


@pytest.mark.parametrize("method", ["auto", "random", "stratified", "group", "time"])
def test_files_are_kept_together_by_any_method_where_it_is_set(method: Any) -> None:
    columns = boxes() | {"g": [number % 50 for number in range(PICTURES * BOXES)]}
    column = {"group": "g", "time": "x"}.get(method)
    rows = table(columns if method == "group" else boxes())
    files = {"image"} if method == "group" else set()
    rows = rows if not files else table(columns | {"g": [number // 8 for number in range(PICTURES * BOXES)]})
    found = divided(rows, SplitConfig(method=method, column=column, shared_files="together"))
    assert files_in_two_parts(rows, found) == 0


def test_rows_that_a_column_names_are_set_aside_where_their_file_stands_in_a_later_part() -> None:
    columns = boxes() | {"part": ["test" if n in (1, 5) else "val" if n == 9 else "train" for n in range(240)]}
    rows = table(columns)
    apart = divided(rows, SplitConfig(method="column", column="part"))
    assert files_in_two_parts(rows, apart) > 0
    kept = divided(rows, SplitConfig(method="column", column="part", shared_files="together"))
    assert files_in_two_parts(rows, kept) == 0
    assert parts_of(kept)[2] == parts_of(apart)[2]


def test_without_shared_files_the_split_is_the_same_to_the_bit() -> None:
    columns = boxes() | {"image": [f"{number}.png" for number in range(239)] + ["0.png"]}
    columns["x"][239] = columns["x"][0]  # the last row repeats the first: alike, and not merely of one file
    for method in ("auto", "random", "stratified"):
        config = SplitConfig(method=method, shared_files="together")
        found, plain = (divided(table(columns), config, files=files) for files in (("image",), ()))
        assert parts_of(found) == parts_of(plain)
        assert found.notes == plain.notes


def test_missing_cells_are_no_shared_file() -> None:
    columns = boxes() | {"image": [None, ""] * 100 + [f"{number}.png" for number in range(40)]}
    assert parts_of(divided(table(columns), SplitConfig())) == parts_of(divided(table(columns), SplitConfig(), ()))


@pytest.mark.parametrize("images", [["logo.png"] * 150 + [f"{n}.png" for n in range(90)], ["a.png", "b.png"] * 120])
def test_a_placeholder_joins_nothing_and_is_told(images: list[str]) -> None:
    rows = table(boxes() | {"image": images})
    found = divided(rows, SplitConfig())
    assert parts_of(found) == parts_of(divided(rows, SplitConfig(), files=()))
    assert any(note.startswith("files of 'image' stand in so many rows") for note in found.notes)
    (told,) = audit_shared_files(subject(boxes() | {"image": images}))
    assert (told.severity, told.setting) == ("warning", "data.split.method=group")
    assert "too many rows to keep these in one part" in told.message


def test_two_columns_of_files_join_by_either() -> None:
    rows = table({"a": [f"{n // 2}.png" for n in range(40)], "b": [f"{n // 4}.wav" for n in range(40)]})
    found = join_files(rows, np.arange(40), ["a", "b"])
    assert found.unit_of_row.tolist() == [n // 4 for n in range(40)]
    assert (found.rows, found.together, found.parted) == (40, ("a", "b"), ())


def test_only_rows_of_other_inputs_share() -> None:
    files, alike = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 2, 2, 3])
    assert sharing(files, alike).tolist() == [0, 1]
    assert rarest_class(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 0, 0])).tolist() == [1, 0, 0]


def test_a_config_that_names_a_method_keeps_its_split_and_a_written_one_repeats_it() -> None:
    old = parse({"data": {"split": {"method": "auto", "validation": 0.1, "test": 0.1}}}, "config.yaml")
    assert old.data.split.shared_files == "apart"
    assert parse({"data": {"split": {"test": 0.2}}}, "config.yaml").data.split.shared_files == "together"
    for config in (RunConfig(), old):
        assert parse(yaml.safe_load(dump(config)), "config.yaml").data.split == config.data.split


def told(config: SplitConfig | None, columns: dict[str, Any] | None = None) -> list[Finding]:
    return audit_shared_files(subject(columns or boxes(), config))


def test_the_audit_notes_what_stays_together() -> None:
    (found,) = told(None)
    assert (found.severity, found.column, found.rows) == ("note", "image", PICTURES * BOXES)
    assert found.message == "240 rows (100 %) share an image file with a row of other inputs"
    assert found.setting == "data.split.shared_files=together"
    assert [example["row"] for example in found.examples] == [1, 2, 3]
    assert [example["note"] for example in found.examples] == ["shared with row 2", *["shared with row 1"] * 2]


@pytest.mark.parametrize("method", ["auto", "random", "stratified"])
def test_the_audit_warns_of_files_that_a_random_split_parts(method: Any) -> None:
    (found,) = told(SplitConfig(method=method))
    assert (found.severity, found.rows) == ("warning", PICTURES * BOXES)
    assert "about 99% of the test rows will have a file that is trained on" in found.message
    assert found.setting == "data.split.shared_files=together"


def test_the_audit_warns_only_of_files_that_a_column_parts() -> None:
    columns = boxes() | {"part": ["test" if n // 4 < 20 else "train" for n in range(PICTURES * BOXES)]}
    config = SplitConfig(method="column", column="part")
    assert told(config, columns) == []
    columns["part"][0] = "train"
    (found,) = told(config, columns)
    assert (found.severity, found.rows) == ("warning", 4)
    assert "a split by 'part' parts them" in found.message
    assert told(SplitConfig(method="none")) == []


def test_rows_that_share_files_with_the_test_table_are_found_and_removed(tmp_path: Path) -> None:
    def write(folder: Path, numbers: range, shift: int) -> str:
        folder.mkdir()
        lines = []
        for number in numbers:
            buffer = io.BytesIO()
            Image.new("RGB", (8, 8), (number, 90, 200 - number)).save(buffer, "PNG")
            (folder / f"{folder.name}{number}.png").write_bytes(buffer.getvalue())
            lines += [f"{folder.name}{number}.png,{number * 10 + box + shift},{'ab'[box]}" for box in range(2)]
        (folder / "rows.csv").write_text("\n".join(["file,x,y", *lines]) + "\n", "utf-8")
        return str(folder / "rows.csv")

    train, test = write(tmp_path / "train", range(40), 0), write(tmp_path / "test", range(35, 50), 3)
    rows = subject(train, test=test)
    found = [item for item in audit(rows).findings if item.check == "shared-files"]
    assert [(item.severity, item.rows) for item in found] == [("warning", 10), ("note", 80)]
    assert found[0].message == "10 training rows (12 %) share an image file with a test row of other inputs"
    assert found[0].examples[0]["note"] == "shared with row 1 of test"
    assert found[0].setting == "--fix shared-files"
    cleaned, done = apply_fixes(rows, ["shared-files"])
    assert (cleaned.height, done) == (70, ["shared-files: 10 rows"])


def test_clean_data_have_no_shared_files(shared_data: Path) -> None:
    for name, target in (
        ("mnist/test.parquet", "label"),
        ("fsdd/train.csv", "digit"),
        ("adult/adult.csv", "income"),
        ("banking77/test.csv", "category"),
    ):
        rows = sources.read(str(shared_data / name))
        kinds = {plan.name: plan.kind for plan in schema.plan(rows, target=target)}
        others = {"test": sources.read(str(shared_data / "fsdd/test.csv"))} if name.startswith("fsdd") else {}
        for config in (SplitConfig(), SplitConfig(method="random")):
            assert audit_shared_files(Subject(rows, target, AnswerKind.CLASS, kinds, others, split=config)) == []


def test_the_boxes_of_blood_cells_share_their_photographs(shared_data: Path) -> None:
    rows = sources.read(str(shared_data / "bccd" / "boxes.csv"))
    kinds = {plan.name: plan.kind for plan in schema.plan(rows, target="label")}
    (found,) = audit_shared_files(
        Subject(rows, "label", AnswerKind.CLASS, kinds, split=SplitConfig(method="stratified"), budget=5.0)
    )
    assert (found.severity, found.column) == ("warning", "image")
    assert found.rows > 0.99 * len(rows)
    divided = split(rows, "label", ["image", "xmin"], SplitConfig(), has_test=False, stratify=True, files=["image"])
    assert files_in_two_parts(rows, divided) == 0
