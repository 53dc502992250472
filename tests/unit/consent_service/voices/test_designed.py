"""A designed voice is kept from our own clip and from nothing else, whoever asks and whatever they registered."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from consent_service.config import ConsentConfig
from consent_service.errors import ExaminationUnavailable, GrantMismatch, InvalidInput, NotFound
from consent_service.examination.config import ExaminationConfig
from consent_service.models import Allow, Voice
from consent_service.vault.sealing import load_node_secret, open_reference, spoken_proof
from tests.assets.installation import Installation, Tenant
from tests.assets.voiced import voiced

EXAMINED = ExaminationConfig(
    speaker="none", marks=(sys.executable, str(Path("tests/assets/mark_examiner.py").absolute()))
)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    data_dir = tmp_path_factory.mktemp("designed") / "data"
    installation = Installation.create(ConsentConfig(data_dir=data_dir, examination=EXAMINED))
    yield installation.tenant()
    installation.close()


@dataclass
class Spoken:
    """A clip that was authorised and redeemed; nobody has answered for it yet."""

    world: Tenant
    grant_id: str
    clip_id: str
    replica_id: str

    def proof(self) -> bytes:
        return spoken_proof(load_node_secret(self.world.data_dir), self.replica_id, self.grant_id)

    def manifested(self, basis: str = "design", state: str = "intact", hertz: float = 300.0) -> bytes:
        """A file that carries a manifest of ours for this clip."""
        return voiced(4.0, hertz=hertz) + f"CLIP:{self.clip_id}:{basis}:{state};".encode()

    def register(self, audio: bytes) -> None:
        record = self.world.service.clips.find_clip("acme", self.clip_id)
        assert record is not None
        digest = hashlib.sha256(audio).hexdigest()
        self.world.service.clips.register_clip(replace(record, audio_sha256=digest, seconds=4.0))

    def report(self, audio: bytes) -> None:
        digest = hashlib.sha256(audio).hexdigest()
        self.world.service.gate.report_design(self.grant_id, self.replica_id, self.proof(), digest)

    def keep(self, audio: bytes) -> Voice:
        return self.world.service.voices.keep_designed(
            self.world.admin,
            name="D",
            language="en",
            reference=audio,
            transcript="hello",
            clip_id=self.clip_id,
        )


def spoken(world: Tenant, mode: str = "design", voice_id: str = "") -> Spoken:
    allowed = world.allow(mode=mode, voice_id=voice_id)
    redeemed = world.service.gate.redeem(allowed.token, world.replica.replica_id)
    return Spoken(world, redeemed.grant.grant_id, redeemed.grant.clip_id, world.replica.replica_id)


def refused(clip: Spoken, audio: bytes) -> None:
    kept = clip.world.rows("SELECT count(*) FROM voices WHERE kind = 'designed'")
    with pytest.raises(InvalidInput) as error:
        clip.keep(audio)
    assert error.value.code == "reference_not_designed"
    assert clip.world.rows("SELECT count(*) FROM voices WHERE kind = 'designed'") == kept


def test_a_designed_voice_is_kept_from_our_own_clip_and_speaks_without_a_consent(studio: Tenant) -> None:
    clip = spoken(studio)
    audio = clip.manifested()
    clip.report(audio)
    clip.register(audio)
    voice = clip.keep(audio)
    assert (voice.kind, voice.state) == ("designed", "active")
    allowed = studio.allow(voice_id=voice.voice_id)
    assert isinstance(allowed, Allow)
    assert (allowed.grant.basis, allowed.grant.consent_id) == ("designed", None)
    redeemed = studio.service.gate.redeem(allowed.token, studio.replica.replica_id)
    wav, transcript = open_reference(studio.replica, redeemed)
    assert (wav[:4], transcript) == (b"RIFF", "hello")


def test_a_person_s_recording_registered_as_a_designed_clip_is_not_kept(studio: Tenant) -> None:
    """Authorise a design, redeem it, and hand in the digest of somebody's recording."""
    clip, recording = spoken(studio), voiced(4.0, hertz=210.0)
    clip.register(recording)
    refused(clip, recording)


def test_nor_where_the_replica_answered_for_it_but_we_never_signed_it(studio: Tenant) -> None:
    clip, recording = spoken(studio), voiced(4.0, hertz=211.0)
    clip.report(recording)
    clip.register(recording)
    refused(clip, recording)


def test_nor_where_we_signed_it_but_no_replica_answered_for_it(studio: Tenant) -> None:
    clip = spoken(studio)
    audio = clip.manifested()
    clip.register(audio)
    refused(clip, audio)


def test_the_replica_and_the_register_must_say_the_same(studio: Tenant) -> None:
    for reported, registered in ((300.0, 301.0), (301.0, 300.0)):
        clip = spoken(studio)
        clip.report(clip.manifested(hertz=reported))
        clip.register(clip.manifested(hertz=registered))
        refused(clip, clip.manifested(hertz=300.0))


@pytest.mark.parametrize(
    ("basis", "state"), [("design", "altered"), ("consent", "intact"), ("preset", "intact")]
)
def test_the_manifest_must_be_whole_and_of_a_design(studio: Tenant, basis: str, state: str) -> None:
    clip = spoken(studio)
    audio = clip.manifested(basis, state)
    clip.report(audio)
    clip.register(audio)
    refused(clip, audio)


def test_the_manifest_must_name_this_clip(studio: Tenant) -> None:
    clip, other = spoken(studio), spoken(studio)
    audio = other.manifested()
    clip.report(audio)
    clip.register(audio)
    refused(clip, audio)


def test_a_clip_of_a_person_or_a_preset_is_no_design(studio: Tenant) -> None:
    for clip in (spoken(studio, "custom", "Vivian"), spoken(studio, "clone", studio.voice.voice_id)):
        audio = clip.manifested()
        clip.report(audio)
        clip.register(audio)
        refused(clip, audio)


def test_what_was_altered_after_it_was_handed_over_is_not_kept(studio: Tenant) -> None:
    clip = spoken(studio)
    audio = clip.manifested()
    clip.report(audio)
    clip.register(audio)
    refused(clip, clip.manifested(hertz=301.0))


def test_only_the_replica_that_redeemed_the_grant_answers_for_it(studio: Tenant) -> None:
    clip, another = spoken(studio), spoken(studio)
    stranger = studio.register("another-replica")
    digest = "ab" * 32
    secret = load_node_secret(studio.data_dir)
    for replica_id, proof in (
        (clip.replica_id, bytes(32)),
        (clip.replica_id, another.proof()),
        (stranger.replica_id, spoken_proof(secret, stranger.replica_id, clip.grant_id)),
        (clip.replica_id, spoken_proof(bytes(32), clip.replica_id, clip.grant_id)),
    ):
        with pytest.raises(GrantMismatch):
            studio.service.gate.report_design(clip.grant_id, replica_id, proof, digest)
    with pytest.raises(NotFound):
        studio.service.gate.report_design("0" * 32, clip.replica_id, clip.proof(), digest)
    with pytest.raises(GrantMismatch):
        studio.service.gate.report_design(clip.grant_id, clip.replica_id, clip.proof(), "not a digest")
    assert not studio.rows(f"SELECT 1 FROM design_reports WHERE clip_id = '{clip.clip_id}'")


def test_what_a_replica_answered_for_can_not_be_changed(studio: Tenant) -> None:
    clip = spoken(studio)
    clip.report(clip.manifested())
    clip.report(clip.manifested())
    with pytest.raises(GrantMismatch):
        clip.report(voiced(4.0))


def test_where_nobody_looks_for_marks_no_designed_voice_is_kept(world: Tenant) -> None:
    clip = spoken(world)
    audio = clip.manifested()
    clip.report(audio)
    clip.register(audio)
    with pytest.raises(ExaminationUnavailable):
        clip.keep(audio)
