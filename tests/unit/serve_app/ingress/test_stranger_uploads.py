"""A body of many megabytes is read for callers that we know, and for nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tests.unit.serve_app.house import House, code_of


def test_a_recording_is_not_even_read_for_a_stranger(house: House) -> None:
    read: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        for piece in range(3):
            read.append(piece)
            yield b" " * 1000

    answer = house.request(
        "POST",
        "/v1/voices/enrolments/enrolment_x/complete",
        key="vouch_0000_nothing",
        content=body(),
    )
    assert (answer.status_code, code_of(answer)) == (401, "unauthenticated")
    assert read == []
