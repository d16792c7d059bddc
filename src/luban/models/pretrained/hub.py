"""Checkpoints from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from luban.core.errors import CheckpointError

FILES = [
    "config.json",
    "*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",
    "1_Pooling/config.json",
]


def download(name: str) -> Path:
    """Return the folder of a checkpoint OWNER/NAME, fetched on first use into the hub's own cache.

    HF_HUB_OFFLINE=1 is honoured: only what was fetched before is used. Raises CheckpointError where it cannot be had.
    """
    from huggingface_hub import snapshot_download  # seldom needed

    try:
        return Path(snapshot_download(name, allow_patterns=FILES))
    except (OSError, ValueError) as error:  # every error of the hub's own is one of them
        raise CheckpointError(
            f"checkpoint '{name}'",
            expected="a folder, or a checkpoint on the Hugging Face hub",
            found=f"no such folder, and from the hub '{str(error).splitlines()[0].split('. ')[0]}'",
            action="Check the spelling and the network, or give the path of a folder",
        ) from error
