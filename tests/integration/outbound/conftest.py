from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.wishing import Setting


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    made = Setting(tmp_path)
    yield made
    made.database.close()
