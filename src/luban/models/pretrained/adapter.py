"""The one file that calls on `transformers`: what its checkpoints hold in a form that only it reads."""

from __future__ import annotations

from pathlib import Path

from luban.core.errors import CheckpointError


def convert_tokenizer(directory: Path) -> str:
    """Return the contents of a tokenizer.json made from a folder's vocabulary files.

    Raises CheckpointError where `transformers` cannot make one.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast  # slow to import, and seldom needed

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(directory), local_files_only=True, trust_remote_code=False)
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise TypeError(f"a {type(tokenizer).__name__} has no fast form")
        # Where the files of its class are missing, transformers returns a tokenizer that knows nothing, and no error.
        if len(tokenizer) <= len(tokenizer.all_special_tokens):
            raise ValueError("a vocabulary of special tokens alone")
    except (ImportError, KeyError, OSError, TypeError, ValueError) as error:
        raise CheckpointError(
            str(directory),
            expected="vocabulary files that transformers can convert",
            found=f"'{str(error).splitlines()[0]}'",
            action="Save the tokenizer as tokenizer.json",
        ) from error
    return str(tokenizer.backend_tokenizer.to_str())
