"""The files of a folder and the folders in it: which are pictures and sound, and why the others are left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from luban.core.errors import DataError
from luban.core.regular import open_regular
from luban.core.sentence import Sentence, sentence, several
from luban.data.media.formats import HEAD_BYTES, PICTURE_FORMATS, SOUND_FORMATS, format_of, kind_by_name

MAX_ENTRIES = 5_000_000  # files and folders that are looked at
MAX_TOTAL_BYTES = 2 * 2**40  # of the files of the kind that is read
SHOWN = 3  # names of a reason
# Whose content is not looked at: text by its nature, or left behind by programs that save and download.
NEVER = frozenset(
    {
        ".txt",
        ".md",
        ".csv",
        ".tsv",
        ".json",
        ".jsonl",
        ".xml",
        ".yaml",
        ".yml",
        ".html",
        ".py",
        ".npy",
        ".npz",
        ".parquet",
    }
    | {".bak", ".orig", ".tmp", ".temp", ".part", ".crdownload", ".swp", ".zip", ".gz"}
)
OTHER = "other"
FORMATS = {"image": PICTURE_FORMATS, "audio": SOUND_FORMATS}


@dataclass
class Tree:
    """paths: by kind, `image` or `audio`, the files, relative to the folder, in POSIX form and in order. unnamed: those
    among them that have no suffix of their kind. others: what is no picture or sound, by its format where it is known.
    outside, broken: links that lead out of the folder, or to nothing. repeated: folders that are read under another
    name. closed: folders that cannot be entered. special: what is no regular file."""

    paths: dict[str, list[str]] = field(default_factory=lambda: {"image": [], "audio": []})
    unnamed: set[str] = field(default_factory=set)
    others: dict[str, list[str]] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The kind of most files."""
        return max(self.paths, key=lambda kind: len(self.paths[kind]))

    def left_out(self) -> list[Sentence]:
        """Return how many files are left out, and why, a clause a reason."""
        foreign = [
            *self.others.get(OTHER, ()),
            *(path for kind in self.paths if kind != self.kind for path in self.paths[kind]),
        ]
        found: list[Sentence] = []
        if foreign:
            found.append(
                sentence(
                    "read.left_foreign",
                    "{files:count file} {files:do are} no {kind} ({names})",
                    files=len(foreign),
                    kind=self.kind,
                    names=several(sorted(foreign), SHOWN),
                )
            )
        for name, paths in sorted(self.others.items()):
            if name != OTHER:
                found.append(
                    sentence(
                        "read.left_format",
                        "{files:count file} {files:do are} {format}, which is not decoded ({names})",
                        files=len(paths),
                        format=name,
                        names=several(sorted(paths), SHOWN),
                    )
                )
        if self.outside:
            found.append(
                sentence(
                    "read.left_outside",
                    "{links:count link} {links:do lead} out of the folder and {links:do are} not followed ({names}): "
                    "copy into the folder what they lead to, or make hard links (cp -rL, cp -rl)",
                    links=len(self.outside),
                    names=several(sorted(self.outside), SHOWN),
                )
            )
        if self.broken:
            found.append(
                sentence(
                    "read.left_broken",
                    "{links:count link} {links:do lead} to nothing ({names})",
                    links=len(self.broken),
                    names=several(sorted(self.broken), SHOWN),
                )
            )
        if self.repeated:
            found.append(
                sentence(
                    "read.left_repeated",
                    "{links:count folder} {links:do are} the same as another that is read ({names})",
                    links=len(self.repeated),
                    names=several(sorted(self.repeated), SHOWN),
                )
            )
        if self.closed:
            found.append(
                sentence(
                    "read.left_closed",
                    "{folders:count folder} cannot be entered ({names})",
                    folders=len(self.closed),
                    names=several(sorted(self.closed), SHOWN),
                )
            )
        if self.special:
            found.append(
                sentence(
                    "read.left_special",
                    "{files:count pipe, socket or device} {files:do are} no file ({names})",
                    files=len(self.special),
                    names=several(sorted(self.special), SHOWN),
                )
            )
        return found


def walk(folder: Path) -> Tree:
    """Look at all visible files in a folder and the folders in it. Raises DataError where there are too many.

    Links are followed inside the folder. A folder is read once, under the name that lies least deep, its own before
    that of a link; so a loop of links ends.
    """
    root = folder.resolve()
    tree, level = Tree(), [(folder, False)]
    visited: set[str] = set()
    entries, total = 0, 0
    while level:
        below: list[tuple[Path, bool]] = []
        for place, _ in sorted(level, key=lambda item: (item[1], item[0])):
            real = os.path.realpath(place)
            if real in visited:
                tree.repeated.append(_relative(place, folder))
                continue
            visited.add(real)
            for entry in _entries(place, tree, folder):
                entries += 1
                _check("files", entries, MAX_ENTRIES, folder)
                if is_visible(entry.name):
                    total += _add(tree, entry, folder, root, below)
                    _check("bytes", total, MAX_TOTAL_BYTES, folder)
        level = below
    for paths in tree.paths.values():
        paths.sort()
    return tree


def _entries(place: Path, tree: Tree, folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(place) as found:
            yield from found
    except OSError:
        if place == folder:
            raise
        tree.closed.append(_relative(place, folder))


def is_visible(name: str) -> bool:
    return not name.startswith((".", "__MACOSX")) and name not in ("Thumbs.db", "desktop.ini")


def _add(tree: Tree, entry: os.DirEntry[str], folder: Path, root: Path, below: list[tuple[Path, bool]]) -> int:
    """Put an entry where it belongs in the tree; return how many bytes of a picture or sound it has."""
    path = _relative(Path(entry.path), folder)
    is_link = entry.is_symlink()
    if is_link and not Path(entry.path).exists():
        tree.broken.append(path)
    elif is_link and not Path(os.path.realpath(entry.path)).is_relative_to(root):
        tree.outside.append(path)
    elif entry.is_dir():
        below.append((Path(entry.path), is_link))
    elif not entry.is_file():
        tree.special.append(path)
    else:
        kind = kind_by_name(entry.name)
        if kind is None:
            name = _format(Path(entry.path))
            kind = next((kind for kind, formats in FORMATS.items() if name in formats), None)
            if kind is None:
                tree.others.setdefault(name or OTHER, []).append(path)
                return 0
            tree.unnamed.add(path)
        tree.paths[kind].append(path)
        return entry.stat().st_size
    return 0


def _format(path: Path) -> str | None:
    """Return the format of a file whose name does not tell it; None where it is not known, or nothing to look for."""
    if path.suffix.lower() in NEVER or path.name.endswith("~"):
        return None
    try:
        with open_regular(path) as file:
            return format_of(file.read(HEAD_BYTES))
    except (DataError, OSError):
        return None


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _check(what: str, found: int, limit: int, folder: Path) -> None:
    if found > limit:
        raise DataError(
            str(folder),
            expected=f"at most {limit:,} {what}",
            found="more",
            action="Give the folder of the data alone, or a part of it",
        )


def class_prefix(paths: Iterable[str]) -> str:
    """Return the folders, each with a slash, in which all class folders lie: an empty text where these are not wrapped.

    A folder wraps others where no other lies beside it, it holds no file itself, and two or more folders in it, or in
    the one folder in it, do.
    """
    found, prefix = list(paths), ""
    while True:
        inside = [path[len(prefix) :] for path in found if path.startswith(prefix)]
        heads = {path.partition("/")[0] for path in inside if "/" in path}
        if len(heads) != 1:
            return prefix if heads else ""
        (head,) = heads
        wrapped = [path.removeprefix(f"{head}/") for path in inside if path.startswith(f"{head}/")]
        if not all("/" in path for path in wrapped):
            return ""
        prefix += f"{head}/"
