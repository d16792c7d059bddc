"""Training and loading of tokenizers: from texts or a `tokenizer.json` to ids, for one text a row or a pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

Method = Literal["bpe", "words", "characters"]
Texts = list[str] | list[tuple[str, str]]

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0 to 4
UNKNOWN = "[UNK]"
# Some files have these in the vocabulary but do not say that they are special.
CONTROL_TOKENS = ("<s>", "</s>", "<pad>", "<mask>", "[PAD]", "[CLS]", "[SEP]", "[MASK]")
LONGEST_TOKEN = 32  # characters: a line of dashes is not worth a place in the vocabulary
MIN_COUNT = 2  # what occurs once is unknown, so that the embedding of the unknown is trained
# These bound the memory that encodings take: about 150 bytes a token, before a text is cut.
CHUNK_ROWS = 8_192
CHUNK_CHARACTERS = 2**21


def train(texts: Iterator[str], method: Method, vocab_size: int, lowercase: bool) -> bytes:
    """Return the `tokenizer.json` of a tokenizer trained on texts.

    `bpe` is byte-level byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909; over bytes as in GPT-2), to which no
    character is unknown; `words` splits at spaces and punctuation; `characters` drops spaces.
    """
    options: dict[str, Any] = {
        "vocab_size": vocab_size,
        "min_frequency": MIN_COUNT,
        "special_tokens": list(SPECIAL_TOKENS),
        "show_progress": False,
    }
    trainer: trainers.Trainer
    if method == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(**options, initial_alphabet=alphabet, max_token_length=LONGEST_TOKEN)
    else:
        tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
        characters = pre_tokenizers.Split(Regex("."), "isolated")
        tokenizer.pre_tokenizer = (
            pre_tokenizers.Whitespace()
            if method == "words"
            else pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), characters])
        )
        trainer = trainers.WordLevelTrainer(**options)
    normal_form: list[normalizers.Normalizer] = [normalizers.NFKC()]
    tokenizer.normalizer = normalizers.Sequence([*normal_form, normalizers.Lowercase()] if lowercase else normal_form)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, SPECIAL_TOKENS.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    return str(tokenizer.to_str()).encode()


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """A tokenizer that cuts rows to max_length and takes whatever users write as plain text.

    control_ids: of [CLS], <s>, <pad>...: what no cell of a table may produce. template_size: how many of them the
    tokenizer itself puts into a row.
    """

    tokenizer: Tokenizer
    max_length: int
    vocab_size: int
    control_ids: npt.NDArray[np.int64]
    template_size: int

    @classmethod
    def load(cls, tokenizer_json: bytes, max_length: int, pair: bool) -> Self:
        """Raise ValueError where the file is no tokenizer."""
        try:
            tokenizer = Tokenizer.from_str(tokenizer_json.decode())
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception
            raise ValueError(str(error)) from None
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        added = tokenizer.get_added_tokens_decoder()
        control = {key for key, token in added.items() if token.special and "unk" not in token.content.lower()}
        control |= {key for name in CONTROL_TOKENS if (key := tokenizer.token_to_id(name)) is not None}
        control_ids = np.array(sorted(control), np.int64)
        template = tokenizer.encode("", "" if pair else None).ids
        tokenizer.enable_truncation(max_length, strategy="longest_first")
        vocab_size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        return cls(tokenizer, max_length, vocab_size, control_ids, int(np.isin(template, control_ids).sum()))

    def lengths(self, texts: Texts) -> npt.NDArray[np.int64]:
        """Return (rows,) the tokens of each row before it is cut."""
        self.tokenizer.no_truncation()
        try:
            return np.array([len(row) for row in self.tokenizer.encode_batch_fast(texts)], np.int64)
        finally:
            self.tokenizer.enable_truncation(self.max_length, strategy="longest_first")

    def encode(self, texts: Texts) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return (N,) token ids, (N,) type ids (0 in the first text, 1 in the second, where the tokenizer has them) and
        (rows + 1,) offsets."""
        ids, types, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int32)], [np.zeros(1, np.int64)]
        for start, end in _spans(texts):
            encodings = self._encode_plain(texts[start:end])
            ids.append(_flat(row.ids for row in encodings))
            is_pair = isinstance(texts[start], tuple)
            types.append(_flat(row.type_ids for row in encodings) if is_pair else np.zeros(len(ids[-1]), np.int32))
            lengths.append(np.array([len(row) for row in encodings], np.int64))
        return np.concatenate(ids), np.concatenate(types), np.cumsum(np.concatenate(lengths))

    def _encode_plain(self, texts: Texts) -> list[Encoding]:
        """Encode texts so that no cell makes a control token.

        `encode_special_tokens` sees to it for most models; a Unigram model still has '<s>' among its pieces.
        """
        encodings: list[Encoding] = self.tokenizer.encode_batch_fast(texts)
        is_control = np.isin(_flat(row.ids for row in encodings), self.control_ids)
        up_to = np.concatenate([[0], np.cumsum(is_control)])
        ends = np.cumsum([0] + [len(row) for row in encodings])
        for index in np.flatnonzero(np.diff(up_to[ends]) > self.template_size):
            encodings[index] = self._encode_apart(texts[index])
        return encodings

    def _encode_apart(self, text: str | tuple[str, str]) -> Encoding:
        """Encode a row with spaces between the characters of whatever reads as a control token."""
        sequences = [text, None] if isinstance(text, str) else list(text)
        row = self.tokenizer.encode(sequences[0], sequences[1])
        tokens = zip(row.ids, row.special_tokens_mask, row.sequence_ids, row.offsets, strict=True)
        for token, is_template, sequence, (start, end) in reversed(list(tokens)):
            if not is_template and sequence is not None and token in self.control_ids:
                cell = sequences[sequence] or ""
                sequences[sequence] = f"{cell[:start]}{' '.join(cell[start:end])}{cell[end:]}"
        return self.tokenizer.encode(sequences[0], sequences[1])


def _spans(texts: Texts) -> Iterator[tuple[int, int]]:
    """Cut rows into spans, one after the other, that are encoded at once."""
    characters = np.cumsum([sum(map(len, row)) if isinstance(row, tuple) else len(row) for row in texts])
    start = 0
    while start < len(texts):
        before = int(characters[start - 1]) if start else 0
        end = int(np.searchsorted(characters, before + CHUNK_CHARACTERS, side="right"))
        end = min(max(end, start + 1), start + CHUNK_ROWS, len(texts))
        yield start, end
        start = end


def _flat(rows: Iterable[list[int]]) -> npt.NDArray[np.int32]:
    return np.fromiter(chain.from_iterable(rows), np.int32)
