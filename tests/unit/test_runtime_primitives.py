"""How much code oneDNN keeps is bounded, and the user's own bound stays."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NAME = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
CODE = f"import luban.core.runtime, os; print(os.environ['{NAME}'])"


@pytest.mark.parametrize(("set_to", "expected"), [(None, "128"), ("7", "7")])
def test_the_bound_is_set_unless_the_user_has_set_it(set_to: str | None, expected: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != NAME}
    environment |= {NAME: set_to} if set_to else {}
    found = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == expected
