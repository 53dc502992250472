"""Every error of the house has one root, a stable code, and crosses a process border whole."""

from __future__ import annotations

import copy
import pickle

import pytest

from consent_service.errors import ConsentError, RateLimited
from foundation.errors import CodedError
from foundation.private_files import KeyFileUnsafe
from pipelines.errors import Fault, PipelineError, ScriptInvalid
from provenance.errors import ProvenanceError
from serve_app.errors import RequestRefused
from speech.errors import SpeechError

ERRORS = [
    CodedError("wait", code="its_own"),
    KeyFileUnsafe("loose"),
    RateLimited("wait", retry_after_s=7.5),
    ScriptInvalid((Fault("input_empty", "no rows"),)),
    RequestRefused("text_empty", "say something", param="text", retry_after_s=3),
]


def test_every_room_s_root_is_a_coded_error() -> None:
    for root in (ConsentError, SpeechError, ProvenanceError, PipelineError, RequestRefused, KeyFileUnsafe):
        assert issubclass(root, CodedError)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "carry", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy], ids=["pickle", "copy"]
)
def test_an_error_keeps_all_that_it_holds_across_a_border(error: CodedError, carry: object) -> None:
    carried = carry(error)  # type: ignore[operator]
    assert type(carried) is type(error)
    assert vars(carried) == vars(error)
    assert (carried.code, carried.message, str(carried)) == (error.code, error.message, str(error))


def test_a_code_is_the_class_s_unless_one_is_given() -> None:
    assert KeyFileUnsafe("loose").code == KeyFileUnsafe.code == "key_file_unsafe"
    assert KeyFileUnsafe("loose", code="other").code == "other"
