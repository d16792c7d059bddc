"""The only place where Luban deletes: what it can prove to have written, and never through a link.

Who calls brings the proof; here it is seen to that what goes is a file of its own, and that the rest stays.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from luban.core.sentence import sentence, several

Proof = Callable[[Path], bool]  # tells whether Luban wrote a file


def is_plain_file(path: Path) -> bool:
    """Tell whether a name stands for a file itself: no link to one, no folder, pipe or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def is_plain_folder(path: Path) -> bool:
    """Tell whether a name stands for a folder itself, and not for a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def discard(temporary: Path) -> None:
    """Remove a file that the caller has just made, under a name of its own choice; it may be gone."""
    if is_plain_file(temporary):
        temporary.unlink(missing_ok=True)


def remove_files(folder: Path, wrote: Proof) -> list[str]:
    """Remove the files in a folder that Luban wrote, and return the names of what is left, in order.

    The folder may be a link to one. What stays: links, folders, files without proof, and what cannot be removed.
    """
    stays = []
    for path in sorted(folder.iterdir()):
        try:
            if not (is_plain_file(path) and wrote(path)):
                stays.append(path.name)
                continue
            path.unlink(missing_ok=True)
        except OSError:
            stays.append(path.name)
    return stays


def remove_folder(folder: Path, wrote: Proof) -> bool:
    """Remove a folder if Luban wrote each file in it, and nothing of it otherwise; return whether it is gone."""
    with contextlib.suppress(OSError):
        if is_plain_folder(folder) and all(is_plain_file(path) and wrote(path) for path in folder.iterdir()):
            remove_files(folder, wrote)
            return remove_empty(folder)
    return False


def remove_empty(folder: Path) -> bool:
    """Remove a folder if it is one itself and holds nothing; return whether it is gone."""
    with contextlib.suppress(OSError):
        if is_plain_folder(folder):
            folder.rmdir()
            return True
    return False


@contextlib.contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """Make a folder that does not exist yet; afterwards it is removed with all that is in it, if it is still there.

    Whoever has moved it away by then keeps it: another folder of that name is not touched. Raises OSError where the
    name is taken or the place cannot be written.
    """
    path.mkdir(parents=True)
    made = path.lstat()
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            found = path.lstat()
            if (found.st_dev, found.st_ino) == (made.st_dev, made.st_ino):
                shutil.rmtree(path, ignore_errors=True)  # links in it are removed, never followed


def left(folder: Path, names: Iterable[str]) -> list[str]:
    """Say what stays in a folder that Luban tidies up; nothing where nothing does."""
    names = list(names)
    if not names:
        return []
    found = several(names)
    return [
        sentence("left", "left in {folder}, since Luban did not write it: {names}", folder=str(folder), names=found)
    ]


def set_aside(path: Path) -> Path:
    """Give a file that Luban did not write another name beside it, `NAME.kept`, `NAME.kept-2`..., and return that."""
    for number in range(1, 100_000):
        aside = path.with_name(f"{path.name}.kept" if number == 1 else f"{path.name}.kept-{number}")
        if not os.path.lexists(aside):
            path.rename(aside)
            return aside
    raise AssertionError("a hundred thousand files of one name")
