"""Names made in advance are as many and as different as names made one by one."""

from __future__ import annotations

from callwright.engine.fresh_ids import FreshIds


def test_every_name_is_new_and_has_32_hex_digits() -> None:
    fresh, others = FreshIds(), FreshIds()
    names = [fresh() for _ in range(1000)] + [others() for _ in range(1000)]
    assert len(set(names)) == 2000
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in names)
