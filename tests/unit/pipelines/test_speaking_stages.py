"""The second and third stage: redeemed before it is spoken, stamped and registered before it is there."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consent_service.errors import LedgerUnavailable
from consent_service.grants import GrantVerifier
from consent_service.proofs.records import KeyPurpose
from pipelines.rows import RowResult
from pipelines.stages.clips import OutputClips
from pipelines.stages.synthesize import UnstampedRow
from pipelines.storage import Folder
from provenance.errors import StampFailed
from provenance.verify import Verifier
from speech.engine import SpeechEngine
from speech.errors import SynthesisCancelled, SynthesisFailed
from tests.unit.pipelines.conftest import Stages


def log_of(stages: Stages) -> list[dict[str, Any]]:
    folder = stages.publisher.folder / "export"
    stages.publisher.service.log.export(stages.publisher.admin, folder)
    return [json.loads(line) for line in (folder / "entries.jsonl").read_bytes().splitlines()]


def outcomes(stages: Stages) -> list[tuple[str, str | None]]:
    """How each redeemed grant was closed; a grant that was not closed shows as open."""
    entries = log_of(stages)
    closed = {e["grant"]: (e["outcome"], e.get("reason")) for e in entries if e["kind"] == "speech.closed"}
    return [closed.get(e["grant"], ("open", None)) for e in entries if e["kind"] == "speech.redeemed"]


class Engine:
    """The embedded engine with one thing that goes wrong, or that happens meanwhile."""

    def __init__(self, inner: SpeechEngine, fault: Any) -> None:
        self.info = inner.info
        self.healthy = True
        self._inner = inner
        self._fault = fault
        self.started = 0

    def start(self, request: Any) -> Any:
        self.started += 1
        what = self._fault() if callable(self._fault) else self._fault
        if isinstance(what, Exception):
            raise what
        return what if what is not None else self._inner.start(request)


def spoken_of(stages: Stages, **columns: Any) -> UnstampedRow:
    spoken = stages.synthesize(stages.ready(voice=stages.publisher.anna, **columns))
    assert isinstance(spoken, UnstampedRow), spoken
    return spoken


# Synthesize --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voice", ["anna", "preset:Vivian", "design"])
def test_a_granted_row_becomes_a_clip_that_verifies(stages: Stages, voice: str) -> None:
    publisher = stages.publisher
    ready = stages.ready(voice=publisher.anna if voice == "anna" else voice, instruct="a low, calm voice")
    result = stages.finish(ready)
    assert (result.status, result.code) == ("ok", None), result
    assert result.clip_uri is not None
    data = Path(result.clip_uri).read_bytes()
    assert hashlib.sha256(data).hexdigest() == result.audio_sha256
    verdict = Verifier(publisher.service.keys.trust_anchor(), publisher.service.clips).verify(data)
    assert (str(verdict.origin), str(verdict.integrity)) == ("ours", "intact")
    record = publisher.service.clips.find_clip("lantern", result.clip_id or "")
    assert record is not None
    assert (record.audio_sha256, record.objects) == (result.audio_sha256, (result.clip_uri,))
    assert outcomes(stages) == [("completed", None)]


def test_a_grant_that_waited_too_long_is_asked_for_again(stages: Stages, engine: SpeechEngine) -> None:
    ready = stages.ready(voice=stages.publisher.anna)
    out = stages.synthesize(replace(ready, start_by=time.time() - 1))
    assert isinstance(out, UnstampedRow)
    verifier = GrantVerifier(stages.publisher.service.keys.public_keys(KeyPurpose.GRANT))
    assert out.redeemed.grant != verifier.verify_signature(ready.token)


def test_a_grant_that_expires_while_it_is_used_is_not_used(stages: Stages, engine: SpeechEngine) -> None:
    # Forty seconds later by the stage's clock every grant of now is stale, the second one too.
    silent = Engine(engine, None)
    out = stages.synthesizer(silent, clock=lambda: time.time() + 40)(
        stages.ready(voice=stages.publisher.anna)
    )
    assert isinstance(out, RowResult)
    assert (out.status, out.code, silent.started) == ("error", "grant_expired", 0)


def test_a_stale_grant_is_never_stretched_past_a_withdrawal(stages: Stages, engine: SpeechEngine) -> None:
    ready = replace(stages.ready(voice=stages.publisher.anna), start_by=time.time() - 1)
    stages.publisher.revoke(stages.publisher.anna_consent)
    silent = Engine(engine, None)
    out = stages.synthesizer(silent)(ready)
    assert isinstance(out, RowResult)
    assert (out.status, out.code, silent.started) == ("refused", "consent_revoked", 0)


def test_a_consent_withdrawn_between_grant_and_engine_refuses_the_row(
    stages: Stages, engine: SpeechEngine
) -> None:
    ready = stages.ready(voice=stages.publisher.anna)
    stages.publisher.revoke(stages.publisher.anna_consent)
    silent = Engine(engine, None)
    out = stages.synthesizer(silent)(ready)
    assert isinstance(out, RowResult)
    assert (out.status, out.code, silent.started) == ("refused", "consent_revoked", 0)
    assert outcomes(stages) == []


def test_a_grant_used_by_a_lost_attempt_is_asked_for_again(stages: Stages) -> None:
    ready = stages.ready(voice=stages.publisher.anna)
    first, second = stages.synthesize(ready), stages.synthesize(ready)
    assert isinstance(first, UnstampedRow)
    assert isinstance(second, UnstampedRow)
    assert first.redeemed.grant.clip_id != second.redeemed.grant.clip_id


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (
            lambda ready: replace(
                ready,
                checked=replace(
                    ready.checked, utterance=replace(ready.checked.utterance, text="Other words.")
                ),
            ),
            "grant_mismatch",
        ),
        (lambda ready: replace(ready, token=ready.token[:-8] + "AAAAAAAA"), "grant_forged"),
        (lambda ready: replace(ready, token=""), "grant_malformed"),
    ],
)
def test_no_grant_for_these_words_no_speech(
    stages: Stages, engine: SpeechEngine, change: Any, code: str
) -> None:
    silent = Engine(engine, None)
    out = stages.synthesizer(silent)(change(stages.ready(voice=stages.publisher.anna)))
    assert isinstance(out, RowResult)
    assert (out.status, out.code, silent.started) == ("error", code, 0)
    assert outcomes(stages) == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (SynthesisFailed("the engine failed; run again"), "synthesis_failed"),
        (ValueError("SECRET words"), "internal_error"),
        ([], "synthesis_failed"),
    ],
)
def test_an_engine_that_fails_costs_its_row_and_closes_its_record(
    stages: Stages, engine: SpeechEngine, fault: Any, code: str
) -> None:
    out = stages.synthesizer(Engine(engine, fault))(stages.ready(voice=stages.publisher.anna))
    assert isinstance(out, RowResult)
    assert (out.status, out.code) == ("error", code)
    assert "SECRET" not in str(out.message)
    assert outcomes(stages) == [("failed", code)]


def test_a_voice_cut_while_speaking_is_refused_if_the_gate_says_so(
    stages: Stages, engine: SpeechEngine
) -> None:
    def revoke() -> Exception:
        stages.publisher.revoke(stages.publisher.anna_consent)
        return SynthesisCancelled("cancelled", code="consent_revoked")

    out = stages.synthesizer(Engine(engine, revoke))(stages.ready(voice=stages.publisher.anna))
    assert isinstance(out, RowResult)
    assert (out.status, out.code) == ("refused", "consent_revoked")
    assert outcomes(stages) == [("cut", "consent_revoked")]


def test_a_voice_cut_for_another_consent_of_it_speaks_under_its_own(
    stages: Stages, engine: SpeechEngine
) -> None:
    faults = iter([SynthesisCancelled("cancelled", code="consent_revoked"), None])
    out = stages.synthesizer(Engine(engine, lambda: next(faults)))(stages.ready(voice=stages.publisher.anna))
    assert isinstance(out, UnstampedRow)


def test_an_unknown_preset_uses_up_no_grant(stages: Stages) -> None:
    out = stages.synthesize(stages.ready(voice="preset:Nobody"))
    assert isinstance(out, RowResult)
    assert (out.status, out.code) == ("refused", "speaker_unknown")
    assert outcomes(stages) == []


def test_an_engine_that_is_lost_uses_up_no_grant(stages: Stages, engine: SpeechEngine) -> None:
    lost = Engine(engine, None)
    synthesize = stages.synthesizer(lost)
    lost.healthy = False
    out = synthesize(stages.ready(voice=stages.publisher.anna))
    assert isinstance(out, RowResult)
    assert (out.status, out.code, lost.started) == ("error", "engine_unavailable", 0)
    assert outcomes(stages) == []


def test_samples_and_references_are_not_shown(stages: Stages) -> None:
    spoken = spoken_of(stages)
    assert "array" not in repr(spoken)
    assert "sealed_reference" not in repr(spoken)


# Stamp -------------------------------------------------------------------------------------------------------


class Ledger:
    """The real ledger, one call of which fails: `broken` is its name from here, as in clips.standing."""

    def __init__(self, inner: Any, broken: str) -> None:
        self._inner = inner
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        first, _, others = self._broken.partition(".")
        if name != first:
            return getattr(self._inner, name)
        if others:
            return Ledger(getattr(self._inner, name), others)

        def fail(*_: object) -> None:
            raise LedgerUnavailable("the ledger cannot be reached; nothing was said")

        return fail


@pytest.mark.parametrize("broken", ["clips.standing", "clips.register_clip", "gate.close"])
def test_a_clip_the_ledger_does_not_know_of_is_not_there(stages: Stages, broken: str) -> None:
    spoken = spoken_of(stages)
    result = stages.stamper(Ledger(stages.publisher.service, broken))(spoken)
    assert (result.status, result.code) == ("error", "ledger_unavailable")
    assert (result.clip_id, result.clip_uri) == (None, None)
    assert stages.files() == []


def test_a_clip_is_registered_before_it_is_there(stages: Stages) -> None:
    spoken = spoken_of(stages)
    known: list[str] = []

    class Watched(OutputClips):
        def write(self, clip_id: str, data: bytes) -> str:
            record = stages.publisher.service.clips.find_clip("lantern", clip_id)
            known.extend(record.objects if record else ())
            return super().write(clip_id, data)

    clips = Watched(Folder(str(stages.publisher.folder / "out")))
    result = stages.stamper(stages.publisher.service, clips=clips)(spoken)
    assert known == [result.clip_uri]


def test_what_cannot_be_stamped_does_not_leave(stages: Stages) -> None:
    class Broken:
        def stamp(self, *_: object) -> None:
            raise StampFailed("the clip could not be marked")

    result = stages.stamper(stages.publisher.service, stamper=Broken())(spoken_of(stages))
    assert (result.status, result.code) == ("error", "stamp_failed")
    assert stages.files() == []
    assert outcomes(stages) == [("failed", "stamp_failed")]


def test_silence_is_not_passed_off_as_speech(stages: Stages) -> None:
    spoken = replace(spoken_of(stages), samples=np.zeros(24_000, np.float32))
    assert stages.stamp(spoken).status == "error"
    assert stages.files() == []


def test_a_consent_withdrawn_before_the_stamp_leaves_no_clip(stages: Stages) -> None:
    spoken = spoken_of(stages)
    stages.publisher.revoke(stages.publisher.anna_consent)

    class Never(OutputClips):
        def write(self, clip_id: str, data: bytes) -> str:
            raise AssertionError("written after the withdrawal")

    clips = Never(Folder(str(stages.publisher.folder / "out")))
    result = stages.stamper(stages.publisher.service, clips=clips)(spoken)
    assert (result.status, result.code) == ("refused", "consent_revoked")
    assert outcomes(stages) == [("cut", "consent_revoked")]


def test_a_consent_withdrawn_while_the_clip_is_written_takes_it_along(stages: Stages) -> None:
    publisher = stages.publisher

    class Slow(OutputClips):
        def write(self, clip_id: str, data: bytes) -> str:
            uri = super().write(clip_id, data)
            publisher.revoke(publisher.anna_consent)
            return uri

    clips = Slow(Folder(str(publisher.folder / "out")))
    result = stages.stamper(publisher.service, clips=clips)(spoken_of(stages))
    assert (result.status, result.code, result.clip_uri) == ("refused", "consent_revoked", None)
    assert stages.files() == []
    assert outcomes(stages) == [("cut", "consent_revoked")]


def test_a_disk_that_is_full_costs_the_row_and_leaves_no_half_clip(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = spoken_of(stages)
    monkeypatch.setattr(
        "foundation.private_files.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full"))
    )
    result = stages.stamp(spoken)
    assert (result.status, result.code) == ("error", "internal_error")
    assert stages.files() == []
