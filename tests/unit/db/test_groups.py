from __future__ import annotations

from callwright.db.groups import GAP_S, LOAD_WINDOW_S, LOAD_WRITES, Load


def test_the_few_writes_of_an_idle_node_never_wait() -> None:
    load = Load()
    for second in range(5):
        for n in range(4):
            now = second + n * 0.02
            assert load.wait(now) <= 0
            load.began(now, 1)


def test_under_load_groups_begin_a_gap_after_each_other_until_it_is_over() -> None:
    load = Load()
    now, waited = 0.0, []
    for _ in range(int(3 * LOAD_WINDOW_S / GAP_S)):
        waited.append(load.wait(now))
        load.began(now, LOAD_WRITES // 10)
        now += GAP_S / 2
        if len(waited) > 1 and waited[-1] > 0:
            assert waited[-1] <= GAP_S
            now += waited[-1]
    assert waited[0] <= 0
    assert waited[-1] > 0
    load.began(now + 1.0, 1)
    assert load.wait(now + 1.0) <= 0
