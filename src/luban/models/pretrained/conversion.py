"""Samples whose weights are in a format of their own: fetched, and converted once to the Hugging Face layout."""

from __future__ import annotations

from pathlib import Path

from luban.data import samples
from luban.data.samples import Prepare, WeightFormat
from luban.models.pretrained import e5, gguf

CONVERTERS: dict[WeightFormat, Prepare] = {"e5s1": e5.convert, "gguf": gguf.convert}


def fetch(name: str) -> Path:
    """Return the folder of any sample, like `samples.fetch`, converted where it is weights in a format of their own.

    Raises SampleError as `samples.fetch` does, and where the extra `gguf` is needed and not installed.
    """
    prepare = samples.find(name).prepare
    if not isinstance(prepare, str):
        return samples.fetch(name)
    if prepare == "gguf" and not samples.is_cached(name):
        gguf.require_packages(name)
    return samples.fetch(name, CONVERTERS[prepare])
