"""What manifest.json of a finished run says: who wrote it, when and on what, and the hash of every file."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from luban.core.strict import Count, NotNegative, Open

FORMAT = 1  # raised when a run directory of an older format can no longer be read


def _plain(name: str) -> str:
    if not name or name in (".", "..") or any(sign in name for sign in "/\\\0"):
        raise ValueError(f"expected the name of a file in the run directory, found '{name}'")
    return name


FileName = Annotated[str, AfterValidator(_plain)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DataFacts(Open):
    """source: what the data are called. rows: by role. Older runs have no fingerprint of the test rows."""

    source: str = ""
    fingerprint: str | None = None
    test_fingerprint: str | None = None
    rows: dict[str, Count] = Field(default_factory=dict)


class Manifest(Open):
    """files: SHA-256 by name. seconds: of each stage."""

    format: int
    luban: str = ""
    torch: str = ""
    created: str = ""
    hardware: dict[str, str | int | float] = Field(default_factory=dict)
    data: DataFacts = DataFacts()
    seconds: dict[str, NotNegative] = Field(default_factory=dict)
    files: dict[FileName, Sha256]
