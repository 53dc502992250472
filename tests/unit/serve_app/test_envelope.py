"""A handle is no right: a deployment opens only what was sealed with the node secret."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest

from consent_service.errors import PermissionDenied
from serve_app.envelope import Envelope, NodeSeal

SECRET = b"s" * 32
METHODS = ("hand_over", "sign_manifest")


class Bomb:
    """Says when it is unpickled."""

    went_off = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (_explode, ())


def _explode() -> None:
    Bomb.went_off = True


def callee(name: str = "Gate") -> NodeSeal:
    return NodeSeal(SECRET, name, METHODS)


def test_a_call_of_ours_arrives_as_it_was_made() -> None:
    envelope = NodeSeal(SECRET, "Gate").seal("hand_over", (1, b"x"), {"wait_s": 0.5})
    assert callee().open(envelope) == ((1, b"x"), {"wait_s": 0.5})


@pytest.mark.parametrize(
    "forge",
    [
        lambda e: NodeSeal(b"another secret", "Gate").seal("hand_over", (), {}),
        lambda e: replace(e, proof=b""),
        lambda e: replace(e, method="sign_manifest"),
        lambda e: replace(e, payload=pickle.dumps(((2,), {}))),
        lambda e: NodeSeal(SECRET, "Voice").seal("hand_over", (), {}),
        lambda e: NodeSeal(SECRET, "Gate").seal("close", (), {}),
        lambda e: ("hand_over", (), {}),
    ],
    ids=["secret", "proof", "method", "arguments", "callee", "unlisted", "bare"],
)
def test_anything_else_is_refused(forge: Any) -> None:
    envelope = NodeSeal(SECRET, "Gate").seal("hand_over", (1,), {})
    with pytest.raises(PermissionDenied) as refused:
        callee().open(forge(envelope))
    assert refused.value.code == "not_one_of_ours"


def test_nothing_is_unpickled_before_the_proof_holds() -> None:
    with pytest.raises(PermissionDenied):
        callee().open(Envelope("hand_over", pickle.dumps(((Bomb(),), {})), b"\0" * 32))
    assert not Bomb.went_off


def test_neither_secret_nor_arguments_show_in_a_repr() -> None:
    envelope = NodeSeal(SECRET, "Gate").seal("hand_over", ("a marked text",), {})
    assert "marked" not in repr(envelope)
