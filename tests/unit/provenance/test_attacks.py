"""Every attack on a clip gets the right three answers; so does every honest mishap that looks like one.

`Case.build` gives the file, its sidecar if it has one, and what the ledger says. The three answers beside it are for
a caller with rights; what a stranger is told of the same file must never be more.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import c2pa
import numpy as np
import pytest
import soundfile

from consent_service.proofs.records import Standing
from provenance.audio import Samples, encode_wav
from provenance.disclosure import Disclosure
from provenance.fingerprint import fingerprint
from provenance.formats.catalogue import MP3, OPUS, PCM, WAV
from provenance.formats.delivery import Delivery
from provenance.keyed.embed import embed
from provenance.keyed.pattern import Pattern
from provenance.presence import PresenceMark
from provenance.stamp import StampedClip, Stamper
from provenance.verdict import Integrity, Note, Origin, Verdict
from provenance.verify import Verifier
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, Register, a_disclosure, speech_like
from tests.unit.provenance.test_keyed_origin import KEY, KEYS, MARK, record

OURS, OUR_MARK, SYNTHETIC, NO_MARK = Origin.OURS, Origin.OUR_MARK, Origin.SYNTHETIC, Origin.NO_MARK
INTACT, ALTERED, STRIPPED, UNVERIFIABLE = (
    Integrity.INTACT, Integrity.ALTERED, Integrity.STRIPPED, Integrity.UNVERIFIABLE,
)  # fmt: skip
LIVE, UNKNOWN = Standing.LIVE, Standing.UNKNOWN
ASSETS = Path(__file__).parent / "assets"
CLIP = "d" * 32


@dataclass(frozen=True)
class World:
    """One clip of ours, marked and registered, and somebody else's keys."""

    authority: Authority
    stamper: Stamper

    @cached_property
    def sound(self) -> Samples:
        return np.clip(embed(speech_like(5.0, seed=21), Pattern(KEY), MARK.tag), -1, 1)

    @cached_property
    def clip(self) -> StampedClip:
        return self.stamper.stamp(self.sound, RATE, self.says())

    @cached_property
    def other(self) -> StampedClip:
        """Another clip of ours, under another consent; without a keyed mark, so that the manifest alone speaks."""
        return self.stamper.stamp(
            speech_like(5.0, seed=9), RATE, self.says(clip_id="e" * 32, consent_id="consent_8")
        )

    @cached_property
    def opus(self) -> StampedClip:
        return self.stamper.stamp(self.sound, RATE, self.says(), Delivery(OPUS, RATE))

    @cached_property
    def stream(self) -> StampedClip:
        """As it was sent: raw samples, with the manifest that was issued when it ended."""
        sent = (self.sound * 32_767).astype("<i2").tobytes()
        return self.stamper.stamp_stream(self.sound, RATE, sent, PCM, self.says())

    def says(self, **changes: object) -> Disclosure:
        return a_disclosure(**{"clip_id": CLIP, "consent_id": "consent_9", "consent_version": 1, **changes})

    def register(self, standing: Standing = LIVE, *, knows: bool | None = True, **more: object) -> Register:
        ours = record(fingerprint(self.sound))
        return Register(standing, knows, KEYS, {MARK: ours}, **more)  # type: ignore[arg-type]


Built = tuple[bytes, bytes | None, Register]


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[World], Built]
    origin: Origin
    integrity: Integrity
    standing: Standing
    public: tuple[Origin, Integrity]


def with_manifest_of(data: bytes, manifest_of: bytes) -> bytes:
    moved = data[: data.index(b"C2PA")] + manifest_of[manifest_of.index(b"C2PA") :]
    return moved[:4] + struct.pack("<I", len(moved) - 8) + moved[8:]


def bare(samples: Samples) -> bytes:
    return encode_wav(samples, RATE)


def transcoded(data: bytes, form: str, subtype: str | None = None) -> bytes:
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=form, subtype=subtype)
    return out.getvalue()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def human() -> Samples:
    return speech_like(5.0, seed=99)


def foreign_signer(world: World) -> Built:
    """The same claims, signed by somebody who is not us."""
    forged = Stamper(Authority.create("Test root").signer).stamp(speech_like(5.0, seed=4), RATE, world.says())
    return forged.data, None, world.register(knows=None)


CASES = [
    Case("as it left", lambda w: (w.clip.data, None, w.register()), OURS, INTACT, LIVE, (OURS, INTACT)),
    Case(
        "a manifest moved to another clip of ours",
        lambda w: (with_manifest_of(w.other.data, w.clip.data), None, w.register(knows=False)),
        OUR_MARK, ALTERED, UNKNOWN, (OUR_MARK, ALTERED),
    ),
    Case(
        "a manifest moved to a human recording",
        lambda w: (with_manifest_of(bare(human()) + b"C2PA", w.clip.data), None, w.register(knows=False)),
        OUR_MARK, ALTERED, UNKNOWN, (OUR_MARK, ALTERED),
    ),
    Case(
        "a manifest of another consent on our clip: the sound names its own",
        lambda w: (with_manifest_of(w.clip.data, w.other.data), None, w.register(knows=False)),
        OURS, ALTERED, LIVE, (OUR_MARK, ALTERED),
    ),
    Case(
        "a swapped consent assertion",
        lambda w: (w.other.data.replace(b"consent_8", b"consent_7"), None, w.register(knows=False)),
        OUR_MARK, ALTERED, UNKNOWN, (OUR_MARK, ALTERED),
    ),
    Case(
        "one byte of the sound",
        lambda w: (flipped(w.other.data, 20_000), None, w.register(knows=False)),
        OUR_MARK, ALTERED, UNKNOWN, (OUR_MARK, ALTERED),
    ),
    Case("a foreign certificate", foreign_signer, SYNTHETIC, UNVERIFIABLE, UNKNOWN, (SYNTHETIC, UNVERIFIABLE)),
    Case(
        "a detached manifest beside its file",
        lambda w: (w.opus.data, w.opus.manifest, w.register()),
        OURS, INTACT, LIVE, (OURS, INTACT),
    ),
    Case(
        "the same file without its sidecar",
        lambda w: (w.opus.data, None, w.register()),
        OURS, STRIPPED, LIVE, (SYNTHETIC, STRIPPED),
    ),
    Case(
        "a replayed sidecar, beside a human recording",
        lambda w: (bare(human()), w.opus.manifest, w.register(knows=False)),
        OUR_MARK, ALTERED, UNKNOWN, (OUR_MARK, ALTERED),
    ),
    Case(
        "a replayed sidecar, beside another clip of ours",
        lambda w: (w.other.data, w.opus.manifest, w.register(knows=False)),
        OUR_MARK, ALTERED, UNKNOWN, (OUR_MARK, ALTERED),
    ),
    Case(
        "a stream as it was sent",
        lambda w: (w.stream.data, w.stream.manifest, w.register()),
        OURS, INTACT, LIVE, (OURS, INTACT),
    ),
    Case(
        "a stream cut in the middle",
        lambda w: (w.stream.data[: len(w.stream.data) // 2], w.stream.manifest, w.register(knows=False)),
        OUR_MARK, ALTERED, UNKNOWN, (OUR_MARK, ALTERED),
    ),
    Case(
        "a file cut in the middle, whose sound is still known",
        lambda w: (w.opus.data[: len(w.opus.data) * 3 // 4], w.opus.manifest, w.register(knows=False)),
        OURS, ALTERED, LIVE, (OUR_MARK, ALTERED),
    ),
    Case(
        "a sidecar that is none",
        lambda w: (w.opus.data, b"not a manifest", w.register()),
        OURS, UNVERIFIABLE, LIVE, (SYNTHETIC, UNVERIFIABLE),
    ),
    Case(
        "a consent withdrawn after the clip was made",
        lambda w: (w.clip.data, None, w.register(Standing.WITHDRAWN)),
        OURS, INTACT, Standing.WITHDRAWN, (OURS, INTACT),
    ),
    Case(
        "a consent that has expired since",
        lambda w: (w.clip.data, None, w.register(Standing.EXPIRED)),
        OURS, INTACT, Standing.EXPIRED, (OURS, INTACT),
    ),
    Case(
        "a decommissioned voice's clip",
        lambda w: (w.clip.data, None, w.register(Standing.DECOMMISSIONED)),
        OURS, INTACT, Standing.DECOMMISSIONED, (OURS, INTACT),
    ),
    Case(
        "metadata stripped",
        lambda w: (transcoded(w.clip.data, "WAV", "PCM_16"), None, w.register(Standing.WITHDRAWN)),
        OURS, STRIPPED, Standing.WITHDRAWN, (SYNTHETIC, STRIPPED),
    ),
    Case(
        "transcoded to MP3",
        lambda w: (transcoded(w.clip.data, "MP3"), None, w.register()),
        OURS, STRIPPED, LIVE, (SYNTHETIC, STRIPPED),
    ),
    Case(
        "transcoded to Opus",
        lambda w: (transcoded(w.clip.data, "OGG", "OPUS"), None, w.register()),
        # What is left of the public mark depends on the clip (docs/watermark-matrix.md).
        OURS, STRIPPED, LIVE, (NO_MARK, UNVERIFIABLE),
    ),
    Case(
        "our keyed mark on a human recording",
        lambda w: (bare(np.clip(embed(human(), Pattern(KEY), MARK.tag), -1, 1)), None, w.register()),
        OUR_MARK, STRIPPED, UNKNOWN, (NO_MARK, UNVERIFIABLE),
    ),
    Case(
        "a tag that was never allotted",
        lambda w: (bare(np.clip(embed(human(), Pattern(KEY), 4_242), -1, 1)), None, w.register()),
        OUR_MARK, STRIPPED, UNKNOWN, (NO_MARK, UNVERIFIABLE),
    ),
    Case(
        "the presence mark alone, which anyone can embed",
        lambda w: (bare(PresenceMark().embed(human(), RATE, strength=2.0)), None, w.register()),
        SYNTHETIC, STRIPPED, UNKNOWN, (SYNTHETIC, STRIPPED),
    ),
    Case(
        "a human recording",
        lambda w: (bare(human()), None, w.register()),
        NO_MARK, UNVERIFIABLE, UNKNOWN, (NO_MARK, UNVERIFIABLE),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def world(authority: Authority, stamper: Stamper) -> World:
    return World(authority, stamper)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_attack_gives_the_right_three_answers(case: Case, world: World) -> None:
    data, sidecar, register = case.build(world)
    verdict = Verifier(world.authority.root_pem, register).verify(data, sidecar)
    assert (verdict.origin, verdict.integrity, verdict.standing) == (
        case.origin,
        case.integrity,
        case.standing,
    )
    public = verdict.public()
    assert (public.origin, public.integrity, public.standing) == (*case.public, None)
    assert public.to_json().keys() == {"origin", "integrity", "sentence"}
    # Whoever has no rights learns what the file alone tells, and nothing that takes our keys or our ledger to know.
    assert public == Verifier(world.authority.root_pem).verify(data, sidecar).public()


def test_every_pair_of_answers_has_one_sentence() -> None:
    said = set()
    for origin in Origin:
        for integrity in Integrity:
            sentence = Verdict(origin, integrity, None, None).sentence
            assert sentence.endswith(".")
            assert sentence.count(".") == 1
            said.add(sentence)
    assert len(said) == len(Origin) * len(Integrity)


# a certificate that has expired -----------------------------------------------------------------------------

EXPIRED, EXPIRED_ROOT = (ASSETS / name for name in ("expired.wav", "expired-root.pem"))


def leaf_dates() -> tuple[float, float]:
    evidence = Verifier(EXPIRED_ROOT.read_bytes()).verify(EXPIRED.read_bytes()).evidence["expired_leaf"]
    return evidence["not_before"], evidence["not_after"]


def test_what_the_log_held_while_the_leaf_was_valid_stays_valid_after_it() -> None:
    begin, end = leaf_dates()
    for at in (begin, (begin + end) / 2, end):
        register = Register(knows=True, logged_at=at)
        verdict = Verifier(EXPIRED_ROOT.read_bytes(), register).verify(EXPIRED.read_bytes())
        assert (verdict.origin, verdict.integrity, verdict.standing) == (OURS, INTACT, LIVE)
        assert verdict.notes == (Note.SIGNED_IN_TIME,)
        assert "the log shows that it was signed before" in verdict.sentence
        assert verdict.evidence["expired_leaf"]["logged_at"] == at


T = TypeVar("T")


class HalfARegister(Register):
    """Answers one of the two questions, and fails at the other."""

    def __init__(self, failing: str, logged_at: float) -> None:
        super().__init__(knows=True, logged_at=logged_at)
        self.failing = failing

    def knows_clip(self, clip_id: str, audio_sha256: str) -> bool | None:
        return self._answer("knows_clip", super().knows_clip(clip_id, audio_sha256))

    def logged_at(self, clip_id: str, audio_sha256: str) -> float | None:
        return self._answer("logged_at", super().logged_at(clip_id, audio_sha256))

    def _answer(self, question: str, answer: T) -> T:
        if question == self.failing:
            raise ConnectionError(question)
        return answer


@pytest.mark.parametrize(
    ("failing", "matches", "standing", "note"),
    [("knows_clip", None, UNKNOWN, Note.SIGNED_IN_TIME), ("logged_at", True, LIVE, Note.TIME_UNPROVEN)],
)
def test_one_answer_of_the_register_counts_without_the_other(
    failing: str, matches: bool | None, standing: Standing, note: Note
) -> None:
    register = HalfARegister(failing, logged_at=leaf_dates()[0])
    verdict = Verifier(EXPIRED_ROOT.read_bytes(), register).verify(EXPIRED.read_bytes())
    assert (verdict.origin, verdict.integrity, verdict.standing) == (OURS, INTACT, standing)
    assert (verdict.evidence["register_match"], verdict.notes) == (matches, (note,))


@pytest.mark.parametrize("late", [None, -10.0, 10.0], ids=["no entry", "before the leaf", "after the leaf"])
def test_without_an_entry_in_time_nobody_is_told_that_it_was_signed_in_time(late: float | None) -> None:
    begin, end = leaf_dates()
    at = None if late is None else (begin + late if late < 0 else end + late)
    register = Register(knows=None, logged_at=at)
    verdict = Verifier(EXPIRED_ROOT.read_bytes(), register).verify(EXPIRED.read_bytes())
    assert (verdict.origin, verdict.standing) == (OUR_MARK, UNKNOWN)
    assert verdict.to_json()["notes"] == ["signing_time_unproven"]
    assert "nothing here proves" in verdict.sentence
    assert verdict.public().notes == (Note.TIME_UNPROVEN,)


def test_an_entry_in_time_does_not_speak_for_other_bytes() -> None:
    begin, _ = leaf_dates()
    data = flipped(EXPIRED.read_bytes(), 1_000)
    verdict = Verifier(EXPIRED_ROOT.read_bytes(), Register(knows=False, logged_at=begin + 1)).verify(data)
    assert (verdict.origin, verdict.integrity, verdict.standing) == (OUR_MARK, ALTERED, UNKNOWN)
    assert verdict.notes == (Note.TIME_UNPROVEN,)


# other people's readers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [WAV, MP3], ids=lambda form: form.name)
def test_c2pa_alone_with_our_root_alone_says_trusted(form: object, world: World) -> None:
    made = world.stamper.stamp(world.sound, RATE, world.says(), Delivery(form, RATE))  # type: ignore[arg-type]
    settings = {"trust": {"trust_anchors": world.authority.root_pem.decode()}}
    with c2pa.Reader(
        made.media_type, io.BytesIO(made.data), context=c2pa.Context.from_dict(settings)
    ) as reader:
        assert reader.get_validation_state() == "Trusted"
