"""Only what the caller can prove to be Luban's is removed, and nothing behind a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luban.core.removal import discard, fresh_folder, left, remove_empty, remove_files, remove_folder, set_aside


def own(path: Path) -> bool:
    return path.name.startswith("own")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files of Luban's, and of each kind of thing one that is somebody else's."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "own-thesis").write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("own-1", "own-2", "notes.txt"):
        (folder / name).write_text(name)
    (folder / "own-folder").mkdir()
    (folder / "own-link").symlink_to(tmp_path / "elsewhere" / "own-thesis")
    (folder / "own-folder-link").symlink_to(tmp_path / "elsewhere")
    (folder / "own-dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "own-pipe")
    return folder


STAYS = ["notes.txt", "own-dangling", "own-folder", "own-folder-link", "own-link", "own-pipe"]


def test_files_of_its_own_go_and_the_rest_stays(folder: Path) -> None:
    assert remove_files(folder, own) == STAYS
    assert sorted(path.name for path in folder.iterdir()) == STAYS
    assert (folder.parent / "elsewhere" / "own-thesis").read_text() == "mine"


def test_a_linked_folder_is_tidied_and_its_link_stays(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert remove_files(link, own) == STAYS
    assert not remove_empty(link)
    assert not remove_folder(link, lambda path: True)
    assert link.is_symlink()
    assert folder.is_dir()


def test_a_folder_goes_whole_or_not_at_all(folder: Path) -> None:
    assert not remove_folder(folder, own)
    assert (folder / "own-1").exists()
    for name in STAYS:
        path = folder / name
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    assert remove_folder(folder, own)
    assert not folder.exists()
    assert not remove_folder(folder, own)


def test_a_temporary_file_goes_but_nothing_else_of_its_name(folder: Path) -> None:
    for name in ("own-1", "own-link", "own-folder", "gone"):
        discard(folder / name)
    assert not (folder / "own-1").exists()
    assert (folder / "own-link").is_symlink()
    assert (folder / "own-folder").is_dir()


def test_a_fresh_folder_goes_unless_it_was_moved_away(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("mine")
    with fresh_folder(tmp_path / "a" / "fresh") as fresh:
        (fresh / "below").mkdir()
        (fresh / "link").symlink_to(tmp_path / "thesis")
    assert not fresh.exists()
    assert (tmp_path / "thesis").read_text() == "mine"
    with fresh_folder(tmp_path / "fresh") as fresh:
        (fresh / "values").write_text("x")
        fresh.rename(tmp_path / "final")
        fresh.mkdir()
        (fresh / "notes.txt").write_text("of somebody else")
    assert (tmp_path / "final" / "values").exists()
    assert (fresh / "notes.txt").exists()
    with pytest.raises(FileExistsError), fresh_folder(fresh):
        pass
    assert (fresh / "notes.txt").exists()


def test_what_is_in_the_way_keeps_its_content_under_a_free_name(tmp_path: Path) -> None:
    for content in ("first", "second"):
        (tmp_path / "notes").write_text(content)
        set_aside(tmp_path / "notes")
    assert (tmp_path / "notes.kept").read_text() == "first"
    assert (tmp_path / "notes.kept-2").read_text() == "second"
    assert not (tmp_path / "notes").exists()


def test_what_is_left_is_one_sentence() -> None:
    assert left(Path("checkpoints"), []) == []
    assert left(Path("checkpoints"), ["a", "b"]) == ["left in checkpoints, since Luban did not write it: 'a', 'b'"]
