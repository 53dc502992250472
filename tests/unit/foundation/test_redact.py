"""What is written of an error that nobody foresaw finds the place, and quotes nothing."""

from __future__ import annotations

from foundation.redact import type_and_place

SECRET = "the words that nobody may read"


def raised() -> Exception:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as cause:
            raise ValueError(SECRET) from cause
    except ValueError as error:
        return error


def test_an_error_is_told_by_its_type_and_the_line_that_raised_it() -> None:
    line = raised.__code__.co_firstlineno + 5
    assert type_and_place(raised()) == f"ValueError at {__name__}:{line}"


def test_no_word_of_an_error_is_told() -> None:
    assert SECRET not in type_and_place(raised())


def test_an_error_that_was_never_raised_is_told_by_its_type() -> None:
    assert type_and_place(KeyError(SECRET)) == "KeyError"
