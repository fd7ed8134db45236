"""What follows from a facet is worked out once for all runs of a job, but no memory is filled with large ones."""

from __future__ import annotations

from datlake_server.services.remembered import SMALL, remembered


def test_small_texts_are_remembered_and_large_ones_worked_out_each_time() -> None:
    worked: list[int] = []

    @remembered(2)
    def size(text: str) -> int:
        worked.append(len(text))
        return len(text)

    small, large = "x" * SMALL, "x" * (SMALL + 1)
    assert [size(text) for text in (small, small, large, large)] == [SMALL, SMALL, SMALL + 1, SMALL + 1]
    assert worked == [SMALL, SMALL + 1, SMALL + 1]
