"""What the operating system says where it refuses something, in one sentence: by its error numbers, and by what Polars,
safetensors, torch and the dynamic loader make of them in text."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from luban.core.errors import ArtifactError, DataError, LubanError, ResourceError

WRITTEN = "what was written before is whole"
# as Python, Rust and the panics of Rust write it
NUMBER = re.compile(r"\[Errno (\d+)\]|\bos error (\d+)|\bcode: (\d+), kind:")
MOST_CAUSES = 20  # of an error that are looked at
# Whose texts are the system's; those of other exceptions hold what the user wrote.
SPEAKING = (OSError, RuntimeError, ImportError)
SPEAKING_LIBRARIES = {"polars", "pyo3_runtime", "safetensors", "safetensors_rust", "zlib", "pyarrow"}


@dataclass(frozen=True)
class Reason:
    """Why the system refuses. numbers: of its errors. texts: what else tells of it, in lower case. found: None where
    the system's own words say it."""

    numbers: tuple[int, ...]
    texts: tuple[str, ...]
    expected: str
    found: str | None
    action: str


# What torch, C++, the dynamic loader and the allocators of Rust say, where they have no exception of their own for it.
MEMORY = Reason(
    (errno.ENOMEM,),
    (
        "out of memory",
        "can't allocate memory",
        "cannot allocate memory",
        "not enough memory",
        "unable to allocate",
        "memory allocation of",
        "bad_alloc",
        "cublas_status_alloc_failed",
        "failed to map segment from shared object",
        "cannot map zero-fill pages",
        "cannot create shared object descriptor",
        "cannot allocate symbol search list",
        "cannot enlarge memory",
    ),
    "enough memory",
    "too little",
    "Close other programs, raise the limit where one is set (`ulimit -v`, a container's), or give fewer rows, smaller "
    "batches or a smaller model",
)
PROCESSES = Reason(
    (errno.EAGAIN,),
    ("can't start new thread", "failed to spawn thread", "resource temporarily unavailable", "thread creation failed"),
    "room for another thread or process",
    "none",
    "Close other programs, or raise the limits where some are set (`ulimit -u`, `ulimit -v`, a container's)",
)
FILES = Reason(
    (errno.EMFILE, errno.ENFILE),
    ("too many open files",),
    "room for another open file",
    "too many open files",
    "Close other programs, or raise the limit (`ulimit -n`)",
)
DISK = (
    Reason(
        (errno.ENOSPC,),
        ("no space left on device",),
        "room on the disk",
        "a full disk",
        f"Free some space or choose another folder, and start again; {WRITTEN}",
    ),
    Reason(
        (errno.EDQUOT,),
        ("quota exceeded",),
        "room on the disk",
        "a quota that is used up",
        f"Free some space or choose another folder, and start again; {WRITTEN}",
    ),
    Reason(
        (errno.EFBIG,),
        ("file too large",),
        "a file within the size that the system allows",
        "one that is too large",
        f"Raise the limit (`ulimit -f`) or choose another disk, and start again; {WRITTEN}",
    ),
    Reason(
        (errno.EIO,),
        ("input/output error",),
        "a disk that can be read and written",
        "an input/output error",
        "Check the disk or the connection to it, or choose another",
    ),
    Reason(
        (errno.ENAMETOOLONG,),
        ("file name too long",),
        "a name that the file system can hold",
        "one that is too long",
        "Choose a shorter name",
    ),
)
PLACE_TO_WRITE = Reason(
    (
        *(errno.EROFS, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
        *(errno.ELOOP, errno.EBUSY, errno.ETXTBSY, errno.ENXIO, errno.ENODEV, errno.EXDEV, errno.EINVAL, errno.ESTALE),
        *(errno.ENOTEMPTY, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS),
    ),
    ("permission denied", "read-only file system", "operation not permitted", "is a directory", "not a directory"),
    "a place that can be written",
    None,
    "Check the permissions, or choose another place",
)
PLACE_TO_READ = Reason(
    PLACE_TO_WRITE.numbers,
    ("permission denied", "operation not permitted", "no such file or directory", "is a directory", "not a directory"),
    "a file that can be read",
    None,
    "Check the path, and that you may read it",
)


def system_error(
    error: BaseException, where: object, kind: type[LubanError] = ArtifactError, *, writing: bool = True
) -> LubanError | None:
    """Return what an exception means for a user, None where the operating system has no part in it.

    where: the file. kind: of the error that is returned, but for memory, threads and open files, which are a
    ResourceError. writing: rather than reading.
    """
    if isinstance(error, LubanError):
        return None
    for reason in (MEMORY, PROCESSES, FILES):
        if _means(error, reason):
            return ResourceError(str(where), expected=reason.expected, found=str(reason.found), action=reason.action)
    for reason in (*DISK, PLACE_TO_WRITE if writing else PLACE_TO_READ):
        if _means(error, reason):
            found = f"'{_words(error)}'" if reason.found is None else reason.found
            return kind(str(where), expected=reason.expected, found=found, action=reason.action)
    return None


def last_resort(error: BaseException) -> LubanError | None:
    """Return what an exception that nothing else has caught means for a user: what the system refused to it, or to what
    it was caused by; None for a fault in the program."""
    seen: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if seen is None or isinstance(seen, LubanError):
            return None
        filename = getattr(seen, "filename", None)
        found = system_error(seen, "this process" if filename is None else os.fsdecode(filename), writing=False)
        if found is not None:
            return found
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return None


def means_memory(error: BaseException) -> bool:
    """Tell whether an exception means that memory was short, rather than a fault in the program."""
    return _means(error, MEMORY)


@contextmanager
def disk_errors(path: Path, kind: type[LubanError] = ArtifactError) -> Iterator[None]:
    """Turn what the operating system says of a write into one sentence."""
    with _translated(path, kind, writing=True):
        yield


@contextmanager
def read_errors(path: Path, kind: type[LubanError] = DataError) -> Iterator[None]:
    """Turn what the operating system says of a read into one sentence."""
    with _translated(path, kind, writing=False):
        yield


@contextmanager
def _translated(path: Path, kind: type[LubanError], *, writing: bool) -> Iterator[None]:
    try:
        yield
    except (LubanError, GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the panics of Polars are no Exception
        if system_error(error, path, kind, writing=writing) is None:
            raise
        # Not by a local name: it would keep the frame, and files that are open in it, until the next collection.
        raise system_error(error, path, kind, writing=writing) or error from error


def _means(error: BaseException, reason: Reason) -> bool:
    if isinstance(error, MemoryError):
        return reason is MEMORY
    if not _speaks(error):
        return False
    number = _number(error)
    if number is not None:
        return number in reason.numbers
    text = str(error).lower()
    return any(known in text for known in reason.texts)


def _speaks(error: BaseException) -> bool:
    library = type(error).__module__.partition(".")[0]
    return isinstance(error, SPEAKING) or type(error) is Exception or library in SPEAKING_LIBRARIES


def _number(error: BaseException) -> int | None:
    """Return the number of the system's error, None where there is none."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = NUMBER.search(str(error))
    return None if found is None else int(next(number for number in found.groups() if number))


def _words(error: BaseException) -> str:
    """Return the system's own words for its error."""
    number = _number(error)
    return str(error) if number is None else os.strerror(number)
