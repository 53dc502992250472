"""`vouch key rotate`: what it prints, what it refuses, and that clips are spoken and verified across it."""

from __future__ import annotations

from tests.unit.vouch.conftest import Vouch


def test_the_usual_keys_are_rotated_and_said(vouch: Vouch) -> None:
    rotated = vouch.json("key", "rotate")
    assert [one["kind"] for one in rotated] == ["grant", "log", "receipt", "kek"]
    assert all(one["old"] != one["new"] for one in rotated)
    told = vouch.run("key", "rotate", "--purpose", "kek")
    assert told.stdout.startswith(f"kek: {rotated[-1]['new']} → ")


def test_an_old_key_is_kept_while_others_may_need_it(vouch: Vouch) -> None:
    vouch.json("key", "rotate", "--purpose", "grant")
    assert vouch.refusal("key", "rotate", "--retire") == "key_overlap"


def test_a_clip_from_before_every_rotation_still_verifies_and_another_is_spoken(vouch: Vouch) -> None:
    before, after = vouch.folder / "before.wav", vouch.folder / "after.wav"
    vouch.json("say", "The lamp was lit at nine.", "-o", before)
    for purpose in ("grant", "log", "receipt", "kek", "manifest", "watermark"):
        vouch.json("key", "rotate", "--purpose", purpose)
    vouch.json("say", "The lamp was lit at ten.", "-o", after)
    for clip in (before, after):
        verdict = vouch.json("verify", clip)
        assert (verdict["origin"], verdict["integrity"]) == ("ours", "intact"), verdict
