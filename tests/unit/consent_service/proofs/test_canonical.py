"""The fast writer of canonical JSON writes what the reference writes, for every value, or refuses as it does."""

from __future__ import annotations

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from consent_service.proofs import canonical

VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)
)


def same(value: Any) -> None:
    try:
        expected = rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as refused:
        with pytest.raises(type(refused)):
            canonical.dumps(value)
    else:
        assert canonical.dumps(value) == expected


@given(st.dictionaries(st.text(), VALUES))
def test_an_object_is_written_as_by_the_reference(value: dict[str, Any]) -> None:
    same(value)


@given(st.lists(VALUES))
def test_a_list_is_written_as_by_the_reference(value: list[Any]) -> None:
    same(value)


@pytest.mark.parametrize(
    "number", [0.0, -0.0, 1e-7, 1e-4, 9.9e-5, 1e16, 1e21, 2.0**53, 1_800_000_000.25, float("nan")]
)
def test_a_number_is_written_as_by_the_reference(number: float) -> None:
    same({"at": number, "é": number})
    same({"at": number})
