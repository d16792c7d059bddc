"""No output takes the place of what is read, by whatever name; cells that a spreadsheet runs are written as text."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.core import artifact
from luban.core.errors import ConfigError
from luban.data import formulas
from luban.outputs import check_output, for_text_file, free_names, read_by, write_table

NEVER = "none of the inputs"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1,2\n")
    return path


def refused(output: Path, *inputs: str | Path, match: str = NEVER) -> None:
    """Check that an output is refused whatever is said, and that nothing was changed."""
    before = output.read_bytes() if output.is_file() else None
    with pytest.raises(ConfigError, match=match):
        check_output(output, inputs, overwrite=True)
    assert (output.read_bytes() if output.is_file() else None) == before


def test_the_data_are_never_an_output(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(data, data)
    monkeypatch.chdir(data.parent)
    refused(Path("data.csv"), data)
    refused(data, "./data.csv")
    refused(data.parent / "x" / ".." / "data.csv", data, match="folder that exists")
    (data.parent / "x").mkdir()
    refused(data.parent / "x" / ".." / "data.csv", data)


def test_the_data_are_found_behind_a_home_folder(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(data.parent))
    refused(data, "~/data.csv")
    refused(Path("~/data.csv"), data)
    assert check_output(Path("~/new.csv"), [data], overwrite=False) == data.parent / "new.csv"


def test_the_data_are_found_behind_hard_and_symbolic_links(data: Path) -> None:
    twin, link, folder = data.with_name("twin.csv"), data.with_name("link.csv"), data.with_name("folder")
    twin.hardlink_to(data)
    link.symlink_to(data)
    folder.symlink_to(data.parent)
    refused(twin, data)
    refused(data, link)
    refused(folder / "data.csv", data)
    refused(link, data, match="a link to .* neither replaced nor followed")


def test_a_link_is_neither_replaced_nor_followed(data: Path) -> None:
    dangling, other = data.with_name("dangling.csv"), data.with_name("other.csv")
    dangling.symlink_to(data.with_name("nowhere.csv"))
    other.symlink_to(data)
    for link in (dangling, other):
        refused(link, match="a link to")
        assert link.is_symlink()


def test_no_file_of_a_folder_that_is_read_is_replaced(data: Path) -> None:
    folder = data.parent / "photos"
    (folder / "deep").mkdir(parents=True)
    for path in (folder / "metadata.csv", folder / "deep" / "more.csv"):
        path.write_text("image,label\n")
        refused(path, folder)
    (data.parent / "link").symlink_to(folder)
    refused(folder / "metadata.csv", data.parent / "link")
    outside = data.with_name("outside.csv")
    outside.hardlink_to(folder / "deep" / "more.csv")
    refused(outside, folder)
    assert check_output(folder / "new.csv", [folder], overwrite=True) == folder / "new.csv"
    assert check_output(data, [folder], overwrite=True) == data


def test_a_source_that_cannot_be_seen_is_left_to_who_reads_it(data: Path) -> None:
    for source in (data.with_name("missing.csv"), data.with_name("a" * 300), data / "inside"):
        assert check_output(data, [source, None, "sample:adult/test.csv"], overwrite=True) == data


def run_of(tmp_path: Path, **sources: str) -> Path:
    run = tmp_path / "run"
    (run / artifact.CHECKPOINTS).mkdir(parents=True)
    lines = "".join(f"\n  {role}: {path}" for role, path in sources.items())
    (run / artifact.CONFIG).write_text(f"data:{lines or ' {}'}\n")
    (run / artifact.MANIFEST).write_text('{"files": {"tokenizer.json": "0"}}')
    for name in ("metrics.json", "tokenizer.json", "notes.json", "report.html", "checkpoints/a.json"):
        (run / name).write_text("{}")
    return run


@pytest.mark.parametrize("name", ["metrics.json", "tokenizer.json", "report.html", "checkpoints/a.json", "task.json"])
def test_no_file_of_a_run_is_replaced_or_put_into_its_place(tmp_path: Path, name: str) -> None:
    output = run_of(tmp_path) / name
    with pytest.raises(ConfigError, match="belongs to no run"):
        check_output(output, overwrite=True, endings=(".json", ".html"))


def test_a_file_of_the_users_in_a_run_and_the_page_of_the_run_can_be_replaced(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    check_output(run / "notes.json", overwrite=True, endings=(".json",))
    page = run / "report.html"
    check_output(page, overwrite=True, endings=(".html",), own=page)
    with pytest.raises(ConfigError, match="does not exist yet"):
        check_output(page, overwrite=False, endings=(".html",), own=page)


def test_the_sources_of_a_run_are_among_what_is_read(tmp_path: Path, data: Path) -> None:
    run = run_of(tmp_path, train=str(data), test="sample:adult/test.csv")
    assert read_by(run) == [str(data), "sample:adult/test.csv"]
    refused(data, *read_by(run))
    (run / artifact.CONFIG).write_text("[")
    assert read_by(run) == []


@pytest.mark.parametrize(
    ("cell", "is_run"),
    [
        *((cell, True) for cell in ("=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1", "\r=1", "\n=1", "＝1")),
        *((cell, True) for cell in ("+49 170 1234567", "--", "-a", "-1-2")),
        *((cell, False) for cell in ("-5", "+5", "-1.5e-3", "-1,234.50", "-5%", "-€5", "-5 €", "+.5", "-", "+")),
        *((cell, False) for cell in ("", " =1", "a=1", "'=1", "1-2", "（=1）", "x@y.z")),
    ],
)
def test_cells_that_a_spreadsheet_runs(cell: str, is_run: bool) -> None:
    assert formulas.runs(pl.Series([cell, None])).to_list() == [is_run, False]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(), min_size=1))
def test_no_number_is_a_formula(numbers: list[float]) -> None:
    assert not formulas.runs(pl.Series([f"{number:+}" for number in numbers])).any()


FRAME = pl.DataFrame({"=a": ["=1", "x", "-1"], "n": [-1, 2, 3], "predicted_y": ["@no", "yes", None]})


def test_what_is_added_is_written_as_text_and_the_rest_is_told() -> None:
    frame, notes = for_text_file(FRAME, ["predicted_y"])
    assert frame["predicted_y"].to_list() == ["'@no", "yes", None]
    assert frame["=a"].to_list() == ["=1", "x", "-1"]
    assert [note.split(":")[0] for note in notes] == [
        "a spreadsheet would run 1 added cell as a formula",
        "a spreadsheet would run 2 cells of the data as a formula",
    ]


def test_all_or_none_are_written_as_text() -> None:
    frame, notes = for_text_file(FRAME, ["predicted_y"], "all")
    assert frame.columns == ["'=a", "n", "predicted_y"]
    assert frame["'=a"].to_list() == ["'=1", "x", "-1"]
    assert len(notes) == 1
    frame, notes = for_text_file(FRAME, ["predicted_y"], "none")
    assert frame.equals(FRAME)
    assert [note.split(":")[0] for note in notes] == ["a spreadsheet would run 2 cells of the data as a formula"]


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl"])
def test_only_text_for_spreadsheets_is_changed(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out.{ending}"
    notes = write_table(FRAME, path, ["predicted_y"])
    reads = {
        "csv": lambda: pl.read_csv(path),
        "tsv": lambda: pl.read_csv(path, separator="\t"),
        "parquet": lambda: pl.read_parquet(path),
        "jsonl": lambda: pl.read_ndjson(path),
    }
    expected = "'@no" if ending in ("csv", "tsv") else "@no"
    assert reads[ending]()["predicted_y"][0] == expected
    assert len(notes) == (2 if ending in ("csv", "tsv") else 0)


def test_names_that_are_added_are_free_of_the_tables_and_of_each_other() -> None:
    assert free_names(["p", "p_a", "p_a_2"], ["p_a"]) == {"p": "p", "p_a": "p_a_2_2", "p_a_2": "p_a_2"}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "a_2", "a_2_2", "b", "b_2"]), unique=True),
    st.lists(st.sampled_from(["a", "a_2", "a_2_2", "a_2_2_2", "b"]), unique=True),
)
def test_added_names_never_collide(names: list[str], taken: list[str]) -> None:
    found = free_names(names, taken)
    assert len({*found.values(), *taken}) == len(names) + len(taken)
    assert all(found[name] == name for name in names if name not in taken)


def test_an_output_needs_a_folder_an_ending_and_a_free_name(data: Path) -> None:
    for output, match in (
        (data.with_suffix(".txt"), "an ending of '.csv'"),
        (data.parent / "none" / "out.csv", "a folder that exists"),
        (data, "does not exist yet.*--overwrite"),
        (data.with_name("a" * 300 + ".csv"), "a name that the file system can hold"),
    ):
        with pytest.raises(ConfigError, match=match):
            check_output(output, overwrite=False)
    (data.parent / "folder.csv").mkdir()
    refused(data.parent / "folder.csv", match="a folder that exists")


def test_json_lines_keep_lists_and_objects(tmp_path: Path) -> None:
    rows = [{"a": ["x;y", "z"], "b": [{"start": 0, "label": "é"}], "c": [[1.5]]}, {"a": [], "b": None, "c": [[]]}]
    write_table(pl.DataFrame(rows), tmp_path / "rows.jsonl")
    assert [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines()] == rows
    write_table(pl.DataFrame({"a": [[b"\xff"], None]}), tmp_path / "bytes.jsonl")
    assert (tmp_path / "bytes.jsonl").read_text("utf-8").splitlines()[1] == '{"a":null}'
