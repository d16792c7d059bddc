"""Samples in llama.cpp's GGUF format, converted once to a Hugging Face directory by `transformers`' own loader."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from pathlib import Path

from luban.core.errors import SampleError

PACKAGES = ("gguf", "accelerate")  # of the extra `gguf`


def require_packages(name: str) -> None:
    """Raise SampleError where the packages that read GGUF are missing, before anything is downloaded."""
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise SampleError(
            f"sample '{name}'",
            expected=f"the packages {' and '.join(PACKAGES)}, which read its weights",
            found=f"no {' and no '.join(missing)}",
            action="Install them with `pip install 'luban[gguf]'`",
        )


def convert(raw: Path, destination: Path) -> None:
    """Read the one GGUF file in the folder `raw`; write config, weights in bfloat16, tokenizer and chat template."""
    import torch  # slow to import, like transformers
    import transformers

    (path,) = raw.iterdir()
    # Releases that can leave the weights in their 4-bit blocks have this class; those before it always unpack.
    unpack = (
        {"quantization_config": transformers.GgufConfig(dequantize=True)} if hasattr(transformers, "GgufConfig") else {}
    )
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(raw), gguf_file=path.name)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(raw), gguf_file=path.name, dtype=torch.bfloat16, **unpack
        )
        tokenizer.save_pretrained(destination)
        model.save_pretrained(destination)
