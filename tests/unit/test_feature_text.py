from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from luban.core.errors import ArtifactError, CheckpointError, ConfigError
from luban.features.base import ColumnProfile, FitContext
from luban.features.text import feature as text
from luban.features.text import tokenizer
from luban.features.text.feature import TextConfig, TextFeature
from luban.features.text.tokenizer import Method

WORDS = ["card", "money", "Transfer", "late", "please", "why", "the", "is", "my", "not"]
TEXTS = [f"{WORDS[row % 10]} {WORDS[row % 7]} {WORDS[row % 3]}, is {row % 11}?" for row in range(200)]
CHINESE = ["很快，好吃，味道足，量大", "没有送水没有送水", "非常快，态度好。", "方便，快捷，味道可口"] * 5


def fit(columns: dict[str, list[str | None]], context: FitContext | None = None, **config: object) -> TextFeature:
    settings = TextConfig.model_validate(config)
    return TextFeature.fit("text", tuple(columns), pl.DataFrame(columns), settings, context or FitContext())


def tokens(feature: TextFeature, *cells: str | None) -> list[str]:
    """The tokens of one row."""
    frame = pl.DataFrame([cells], schema=dict.fromkeys(feature.columns, pl.String), orient="row")
    values = feature.encode(frame).column.values
    ids = values[:, 0] if feature.is_pair else values
    return [str(feature.encoder.tokenizer.id_to_token(int(token))) for token in ids]


def score(cells: list[str]) -> float:
    series = pl.Series(cells)
    return TextFeature.match(ColumnProfile("text", series, len(series), 0, series.n_unique()))


def test_single_texts_are_framed() -> None:
    feature = fit({"text": list(TEXTS)})
    column = feature.encode(pl.DataFrame({"text": ["the card", None, ""]})).column
    assert column.values.dtype == np.int32
    assert column.values.ndim == 1
    assert column.lengths.tolist() == [4, 2, 2]
    assert column.values.tolist()[-2:] == [2, 3]
    assert [feature.encoder.tokenizer.id_to_token(token) for token in range(5)] == [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
    ]  # fmt: skip
    assert feature.describe().startswith("byte-level BPE, ")


def test_pairs_carry_type_ids() -> None:
    feature = fit({"first": list(TEXTS), "second": list(reversed(TEXTS))})
    column = feature.encode(pl.DataFrame({"first": ["the card"], "second": ["why"]})).column
    assert column.values[:, 1].tolist() == [0, 0, 0, 0, 1, 1]
    assert tokens(feature, "the card", "why") == ["[CLS]", "Ġthe", "Ġcard", "[SEP]", "Ġwhy", "[SEP]"]
    assert tokens(feature, None, "why") == ["[CLS]", "[SEP]", "Ġwhy", "[SEP]"]


def test_of_three_columns_the_later_ones_are_joined() -> None:
    feature = fit({"a": list(TEXTS), "b": list(TEXTS), "c": list(TEXTS)}, tokenizer="words")
    assert tokens(feature, "the", "card", "is late") == ["[CLS]", "the", "[SEP]", "card", "is", "late", "[SEP]"]
    assert tokens(feature, "the", None, "late") == ["[CLS]", "the", "[SEP]", "late", "[SEP]"]


def test_auto_reads_chinese_by_characters() -> None:
    feature = fit({"text": list(CHINESE)})
    assert feature.tokenizer == "characters"
    assert tokens(feature, "好吃 ，快") == ["[CLS]", "好", "吃", ",", "快", "[SEP]"]
    assert fit({"text": list(TEXTS)}).tokenizer == "bpe"


def test_lowercase_is_the_default_of_trained_tokenizers() -> None:
    assert tokens(fit({"text": list(TEXTS)}, tokenizer="words"), "Transfer")[1] == "transfer"
    assert tokens(fit({"text": list(TEXTS)}, tokenizer="words", lowercase=False), "Transfer")[1] == "Transfer"


@pytest.mark.parametrize("method", ["bpe", "words", "characters"])
@pytest.mark.parametrize("written", ["[SEP]", "[CLS]", "[PAD] [MASK]", "<s>", "</s>", "x[SEP]y", "［SEP］"])
def test_special_tokens_in_a_cell_are_plain_text(method: Method, written: str) -> None:
    feature = fit({"text": [*TEXTS, "[SEP] [CLS] [PAD] [MASK] <s> [ ] s e p"] * 2}, tokenizer=method)
    found = tokens(feature, f"the {written} card")
    assert found[0] == "[CLS]"
    assert found[-1] == "[SEP]"
    assert not {"[CLS]", "[SEP]", "[PAD]", "[MASK]", "<s>", "</s>"} & set(found[1:-1])


@pytest.mark.parametrize("method", ["bpe", "words", "characters"])
def test_unseen_characters(method: Method) -> None:
    feature = fit({"text": list(TEXTS)}, tokenizer=method)
    found = tokens(feature, "ж😀\u0000鲁")
    assert len(found) > 2
    assert ("[UNK]" in found) == (method != "bpe")


def test_huge_cells_are_cut() -> None:
    feature = fit({"a": ["late " * 40_000, *TEXTS], "b": ["why", *TEXTS]}, max_length=32)
    assert len(tokens(feature, "late " * 40_000, "why my card is late" * 9_000)) == 32
    assert feature.spec().max_length == 32
    assert "0.5% of the rows cut to 32" in feature.describe()
    kept = tokens(feature, "late " * 40_000, "why")
    assert kept[-2:] == ["Ġwhy", "[SEP]"]  # the longer text is cut


def test_the_length_follows_the_pretrained_model() -> None:
    assert fit({"text": list(TEXTS)}).max_length == 256
    assert fit({"text": list(TEXTS)}, FitContext(max_positions=128)).max_length == 128
    assert fit({"text": list(TEXTS)}, FitContext(max_positions=8192)).max_length == 256
    with pytest.raises(ConfigError) as error:
        fit({"text": list(TEXTS)}, FitContext(max_positions=128), max_length=512)
    assert str(error.value) == (
        "features.text.max_length: expected at most 128 tokens, the pretrained model's longest input, found 512. "
        "Lower it, or choose a model that reads longer texts."
    )


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    """A tokenizer that pads and cuts, as published ones do."""
    tokenizer = Tokenizer.from_str(fit({"text": list(TEXTS)}).tokenizer_json.decode())
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(8)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def test_a_pretrained_tokenizer_is_kept_but_neither_pads_nor_cuts_its_own_way(tokenizer_file: Path) -> None:
    feature = fit({"text": list(TEXTS)}, FitContext(tokenizer=tokenizer_file, max_positions=64))
    assert feature.files() == {"tokenizer.json": tokenizer_file.read_bytes()}
    assert len(tokens(feature, "the card is late why my money not")) == 10
    assert len(tokens(feature, "the card " * 99)) == 64
    assert feature.describe().startswith("the pretrained model's tokenizer")


def test_settings_that_a_pretrained_tokenizer_cannot_honour(tokenizer_file: Path) -> None:
    for setting, value in (("tokenizer", "words"), ("lowercase", True)):
        with pytest.raises(ConfigError) as error:
            fit({"text": list(TEXTS)}, FitContext(tokenizer=tokenizer_file), **{setting: value})
        assert str(error.value) == (
            f"features.text.{setting}: expected no value, since a pretrained model comes with its own tokenizer, "
            f"found '{value}'. Remove the setting, or train a model from scratch."
        )


def test_tokenizer_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with pytest.raises(CheckpointError, match=r"tokenizer.json: expected the tokenizer.json of the pretrained model"):
        fit({"text": list(TEXTS)}, FitContext(tokenizer=path))
    path.write_text("{}")
    with pytest.raises(CheckpointError, match=r"expected a tokenizer that the 'tokenizers' library reads, found none"):
        fit({"text": list(TEXTS)}, FitContext(tokenizer=path))


def test_a_damaged_run() -> None:
    feature = fit({"text": list(TEXTS)})
    with pytest.raises(ArtifactError) as error:
        TextFeature.from_state(feature.state(), {})
    assert str(error.value) == (
        "tokenizer.json: expected the tokenizer of the text columns, found no file. Copy the whole run directory again."
    )
    with pytest.raises(ArtifactError, match="found a damaged file"):
        TextFeature.from_state(feature.state(), {"tokenizer.json": b"\xff"})


@pytest.mark.parametrize(
    ("cells", "is_text"),
    [
        ([f"I waited {day} days" for day in range(50)], True),
        ([f"第{day}天还没有送到" for day in range(50)], True),
        (["John Smith", "Anna Berg", "Li Wei", "Eva Maria Kuhn"], True),
        (["red", "green"] * 20, False),
        ([*[f"{row / 7:.3f}" for row in range(20)], "unknown", "not measured"], False),
        (["030 1234567", "030 7654321", "040 2345678"], False),
        (["北京", "上海", "广州"] * 20, False),
        (["Never married", "Married civil spouse"] * 20, False),
    ],
)
def test_match(cells: list[str], is_text: bool) -> None:
    assert (score(cells) > 0.5) == is_text


@given(st.lists(st.text(max_size=40) | st.none(), max_size=12), st.sampled_from(["bpe", "words", "characters"]))
@settings(max_examples=30, deadline=None)
def test_any_text_encodes_within_bounds(cells: list[str | None], method: Method) -> None:
    feature = fit({"text": [*TEXTS[:20], *cells]}, tokenizer=method, max_length=16)
    column = feature.encode(pl.DataFrame({"text": cells}, schema={"text": pl.String})).column
    assert len(column) == len(cells)
    assert column.values.max(initial=0) < feature.spec().size
    assert column.lengths.max(initial=2) <= 16
    assert not np.isin(column.values, [0, 4]).any()
    assert (column.values == 3).sum() == len(cells)


CONTROL_TOKENS = {"minilm": {"[CLS]", "[SEP]"}, "e5-small-multilingual": {"<s>", "</s>", "<pad>", "<mask>"}}


@pytest.mark.parametrize("model", CONTROL_TOKENS)
def test_real_pretrained_tokenizers(pretrained_models: Path, model: str) -> None:
    path = pretrained_models / model / "tokenizer.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    written = "hello [SEP] <s> world</s> ＜mask＞<pad>"
    feature = fit({"a": [written, "plain"], "b": ["x", None]}, FitContext(tokenizer=path, max_positions=512))
    reference = Tokenizer.from_file(str(path))
    reference.no_padding()
    expected = reference.encode("hello world, again", "and more")
    found = feature.encode(pl.DataFrame({"a": ["hello world, again"], "b": ["and more"]})).column.values
    np.testing.assert_array_equal(found, np.stack([expected.ids, expected.type_ids], axis=1))
    control = [
        [token for token in tokens(feature, text, "x") if token in CONTROL_TOKENS[model]] for text in (written, "plain")
    ]
    assert control[0] == control[1]


@pytest.mark.parametrize("columns", [1, 2])
def test_rows_are_encoded_alike_in_spans_of_any_size(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = {f"column {number}": [*TEXTS, "", None, "long " * 300] for number in range(columns)}
    feature = fit(cells)
    whole = feature.encode(pl.DataFrame(cells)).column
    for characters, rows in ((1, 8_192), (100, 8_192), (2**21, 7), (90, 3)):
        monkeypatch.setattr(tokenizer, "CHUNK_CHARACTERS", characters)
        monkeypatch.setattr(tokenizer, "CHUNK_ROWS", rows)
        found = feature.encode(pl.DataFrame(cells)).column
        assert found.values.tolist() == whole.values.tolist()
        assert found.lengths.tolist() == whole.lengths.tolist()


def test_spans_hold_no_more_than_agreed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "CHUNK_CHARACTERS", 10)
    monkeypatch.setattr(tokenizer, "CHUNK_ROWS", 3)
    texts = ["four", "four", "four", "x" * 50, "", "", "", "", "eight..."]
    assert list(tokenizer._spans(texts)) == [(0, 2), (2, 3), (3, 4), (4, 7), (7, 9)]
    assert list(tokenizer._spans([("four", "four"), ("a", "b"), ("c", "d")])) == [(0, 2), (2, 3)]
    assert list(tokenizer._spans([])) == []


def test_a_vocabulary_is_trained_on_so_much_text_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [f"word{row % 50} word{row % 50}" for row in range(400)]
    whole = fit({"text": cells}, tokenizer="words")
    assert whole.encoder.vocab_size == 5 + 50
    monkeypatch.setattr(text, "SLICED_CELLS", 7)
    assert fit({"text": cells}, tokenizer="words").tokenizer_json == whole.tokenizer_json
    monkeypatch.setattr(text, "TRAINING_BYTES", sum(map(len, cells)) // 100)
    assert fit({"text": cells}, tokenizer="words").encoder.vocab_size == 5 + 1  # every hundredth cell is drawn
