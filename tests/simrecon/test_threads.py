"""Maps over the usable cores: order, nesting, errors, and that free threads do take part."""

import threading

import pytest

from simrecon import threads
from simrecon.threads import on_all_cores, side_by_side


@pytest.fixture
def two_cores(monkeypatch) -> None:
    """Two cores, and helpers of this test alone."""
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    monkeypatch.setattr(threads, "_team", threads._Team())


@pytest.fixture(params=[1, 2, 5])
def cores(request, monkeypatch) -> int:
    monkeypatch.setattr(threads, "usable_cores", lambda: request.param)
    return request.param


def test_nested_maps_keep_their_order(cores):
    def inner(i: int) -> list[int]:
        return on_all_cores(lambda j: 10 * i + j, range(4))

    assert on_all_cores(inner, range(7)) == [[10 * i + j for j in range(4)] for i in range(7)]
    assert on_all_cores(inner, []) == []


@pytest.mark.usefixtures("two_cores")
def test_two_items_run_at_the_same_time():
    meeting = threading.Barrier(2, timeout=60)  # breaks unless both arrive
    assert sorted(on_all_cores(lambda _: meeting.wait(), range(2))) == [0, 1]


@pytest.mark.usefixtures("two_cores")
def test_a_caller_that_waits_takes_items_of_the_map_inside():
    """With two cores the inner map of the helper's item is shared by the caller."""
    meeting = threading.Barrier(2, timeout=60)
    caller = threading.current_thread()
    inside = threading.Event()

    def outer(_: int) -> None:
        if threading.current_thread() is caller:
            assert inside.wait(60)
        else:
            inside.set()
            on_all_cores(lambda _: meeting.wait(), range(2))

    on_all_cores(outer, range(2))
    assert not meeting.broken


def test_the_first_error_is_raised_after_all_items_are_done(cores):
    done = []

    def item(n: int) -> None:
        done.append(n)
        if n in (2, 4):
            raise ValueError(f"item {n}")

    with pytest.raises(ValueError, match="item 2"):
        on_all_cores(item, range(6))
    assert done == [0, 1, 2] if cores == 1 else sorted(done) == list(range(6))
    assert on_all_cores(abs, [-1, -2]) == [1, 2]


def test_side_by_side_keeps_both_results(cores):
    assert side_by_side(lambda: "one", lambda: 2) == ("one", 2)


def test_ctrl_c_leaves_out_what_nobody_has_begun(cores):
    begun = []

    def inner(n: int) -> None:
        begun.append(n)
        if len(begun) == 3:
            raise KeyboardInterrupt

    def outer(n: int) -> None:
        on_all_cores(inner, range(50))

    with pytest.raises(KeyboardInterrupt):
        on_all_cores(outer, range(50))
    assert len(begun) < 50
    assert on_all_cores(lambda n: n + 1, range(5)) == [1, 2, 3, 4, 5]
