"""Where a checkpoint is, and its tokenizer."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from luban.core.artifact import write_bytes
from luban.core.cache import cache_folder
from luban.core.errors import CheckpointError, listed, nearest
from luban.data import samples
from luban.models.pretrained import adapter, conversion, hub

VOCABULARY_FILES = ("vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model", "spiece.model")
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def resolve_checkpoint(checkpoint: str) -> Path:
    """Return the folder of a checkpoint: a folder itself, a sample by name, or OWNER/NAME, fetched from the hub.

    Raises CheckpointError where there is none, SampleError where a sample cannot be fetched.
    """
    folder = Path(checkpoint).expanduser()
    if folder.is_dir():
        return folder
    # A sample in GGUF is a language model, not an encoder.
    names = [sample.name for sample in samples.SAMPLES if sample.kind == "model" and sample.prepare != "gguf"]
    if checkpoint in names:
        return conversion.fetch(checkpoint)
    if HUB_NAME.fullmatch(checkpoint) and ".." not in checkpoint:
        return hub.download(checkpoint)
    raise CheckpointError(
        f"checkpoint '{checkpoint}'",
        expected=f"a folder, a sample ({listed(names)}) or OWNER/NAME on the Hugging Face hub",
        found="none of them",
        action=f"{nearest(checkpoint, names)}Check the spelling",
    )


def tokenizer_file(directory: Path) -> Path:
    """Return a checkpoint's tokenizer.json; where it has vocabulary files only, one converted from them, in the cache.

    Raises CheckpointError where it has neither, or the vocabulary cannot be converted.
    """
    stored = directory / "tokenizer.json"
    if stored.is_file():
        return stored
    vocabulary = [directory / name for name in VOCABULARY_FILES if (directory / name).is_file()]
    if not vocabulary:
        raise CheckpointError(
            str(directory),
            expected=f"a tokenizer.json, or one of {listed(VOCABULARY_FILES)}",
            found="neither",
            action="Copy the tokenizer's files into the folder",
        )
    digest = hashlib.sha256()
    for path in [*vocabulary, directory / "config.json", directory / "tokenizer_config.json"]:
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    converted = cache_folder() / "tokenizers" / f"{digest.hexdigest()[:32]}.json"
    if not converted.is_file():
        converted.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(converted, adapter.convert_tokenizer(directory).encode())
    return converted
