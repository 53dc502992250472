"""Recordings, transcripts, texts, keys and tokens: searched for on the disk, in logs, errors and reprs (DESIGN I6)."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sqlalchemy import text

from consent_service.errors import ConsentError
from consent_service.grants import Utterance
from consent_service.models import Allow, Claims, Closing, EnrolmentAnswer, Redeemed, Role
from consent_service.vault.sealing import load_node_secret, open_reference
from consent_service.vault.vault import key_aad
from tests.assets.installation import Tenant

pytestmark = pytest.mark.on_both_databases

TRANSCRIPT = "marked transcript zebra quartz"
SAID = "marked utterance violet anchor"
WINDOW = 24  # bytes of a recording that are looked for; chance does not repeat so many


def marked(seed: int) -> bytes:
    """A recording whose samples occur nowhere else."""
    samples = np.random.default_rng(seed).normal(0, 0.1, 4 * 16_000)
    out = io.BytesIO()
    soundfile.write(out, samples, 16_000, format="WAV", subtype="PCM_16")
    return out.getvalue()


def pieces(recording: bytes) -> list[bytes]:
    return [recording[at : at + WINDOW] for at in range(100, len(recording) - WINDOW, 16_000)]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Everything that would spill into a temporary file lands where the search looks."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_no_secret_is_found_anywhere(
    world: Tenant, elsewhere: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service, shown = world.service, []
    reference, statement = marked(1), marked(2)
    token = service.tenants.create_key(
        world.admin, grantee="studio", roles=[Role.NARRATOR], claims=Claims(("narration",), ("*",))
    )
    narrator = service.authenticate(token)
    challenge = service.voices.begin_enrolment(
        world.admin, name="V", language="en", grantee="studio", purpose="narration", subject_name="P"
    )
    service.voices.complete_enrolment(
        world.admin,
        challenge.enrolment_id,
        EnrolmentAnswer(reference=reference, transcript=TRANSCRIPT, statement=statement),
    )
    voice = service.voices.review(world.reviewer, challenge.voice_id, approve=True)
    recorded = world.record(voice)
    said = Utterance(SAID, "en")
    claim = world.claim(
        voice_id=voice.voice_id, said_digest=said.digest(), consent_token=recorded.consent_token
    )
    allowed = service.gate.authorize(narrator, claim)
    assert isinstance(allowed, Allow)
    redeemed = service.gate.redeem(allowed.token, world.replica.replica_id)
    wav, transcript = open_reference(world.replica, redeemed)
    assert transcript == TRANSCRIPT
    service.gate.close(redeemed.grant.grant_id, Closing("completed", 1.0, "ab" * 32))
    for attempt in (
        lambda: service.gate.redeem(allowed.token, world.replica.replica_id),
        lambda: service.authenticate(token + "x"),
        lambda: service.voices.complete_enrolment(
            world.admin,
            "none",
            EnrolmentAnswer(reference=reference, transcript=TRANSCRIPT, statement=statement),
        ),
        lambda: service.voices.complete_enrolment(
            world.admin,
            "none",
            EnrolmentAnswer(reference=reference[:9000], transcript=TRANSCRIPT, statement=statement),
        ),
    ):
        with pytest.raises(ConsentError) as refused:
            attempt()
        shown.append(refused.getrepr(style="short"))
    shown += [said, claim, allowed, redeemed, recorded, world.replica, service, service._core, service.keys]
    vault = service._core.vault
    data_key = service.keys.unwrap_key(
        vault.wrapped_key("acme", voice.voice_id), key_aad("acme", voice.voice_id)
    )
    again = service.gate.authorize(narrator, claim)
    assert isinstance(again, Allow)
    service.gate.redeem_cached(again.token, _stored(world, redeemed))
    narrowed = service.consents.narrow(world.admin, recorded.consent.consent_id, languages=("en",))
    service.consents.revoke(world.admin, recorded.consent.consent_id, "enough")
    service.log.export(world.auditor, elsewhere / "export")
    service.exports.write_bundle(world.auditor, elsewhere / "bundle")
    (elsewhere / "standings").write_text(service.exports.standings(world.auditor))
    (elsewhere / "keys").write_text(service.exports.trusted_keys(world.auditor))
    service.deletion.decommission(world.admin, voice.voice_id, "the end")
    (elsewhere / "certificate").write_text(service.deletion.certificate(world.admin, voice.voice_id))
    shown += [
        again,
        narrowed,
        service.voices.list_all(world.admin),
        service.consents.list_all(world.auditor),
        service.gate.revocations(),
    ]

    secrets = [*pieces(reference), *pieces(statement), *pieces(wav), TRANSCRIPT.encode(), SAID.encode()]
    secrets += [token.split("_", 2)[2].encode(), recorded.consent_token.encode(), allowed.token.encode()]
    secrets += [narrowed.consent_token.encode(), again.token.encode(), data_key]
    secrets += service.clips.watermark_keys().values()
    node_secret = load_node_secret(world.data_dir)

    spoken = "\n".join(map(str, shown)) + "\n".join(map(repr, shown)) + caplog.text
    for secret in [*secrets, node_secret]:
        assert secret not in spoken.encode()
        assert repr(secret)[2:-1] not in spoken
    files = [path for path in elsewhere.rglob("*") if path.is_file()]
    assert len(files) > 10
    files += database_files(world)
    for path in files:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # PostgreSQL tidies up meanwhile
        assert not [secret for secret in secrets if secret in content], path
        assert node_secret not in content or path.name == "node.secret"


def _stored(world: Tenant, redeemed: Redeemed) -> str:
    record = redeemed.clip_record(created_at=world.clock.now)
    world.service.clips.register_clip(replace(record, audio_sha256="ab" * 32, seconds=1.0))
    return redeemed.grant.clip_id


def database_files(world: Tenant, *, kept_only: bool = False) -> list[Path]:
    """Every file of the database: of SQLite beside the write-ahead log, of PostgreSQL the server's whole folder.
    kept_only: without PostgreSQL's write-ahead log, which is recycled and not erased."""
    ledger = world.core.ledger
    if ledger.is_sqlite:
        return [path for path in world.data_dir.iterdir() if path.name.startswith("ledger.sqlite3")]
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))  # what lies in the server's memory is written to its files
        folder = Path(connection.execute(text("SHOW data_directory")).scalar_one())
        mine = connection.execute(
            text("SELECT oid FROM pg_database WHERE datname = current_database()")
        ).scalar_one()
    where = folder / "base" / str(mine) if kept_only else folder
    return [path for path in where.rglob("*") if path.is_file() and not path.is_socket()]


def holds(paths: list[Path], needle: bytes) -> bool:
    for path in paths:
        try:
            if needle in path.read_bytes():
                return True
        except FileNotFoundError:
            continue  # the server tidies up meanwhile
    return False


def test_after_the_end_no_page_of_the_database_holds_what_was_erased(world: Tenant) -> None:
    """Not in a table, not in a free page, not in an index or a statistic, nor (on SQLite) in the write-ahead log."""
    service = world.service
    words = {
        "name": "Marked Quenby Person",
        "voice": "Marked Ulverton Voice",
        "reason": "marked because of Yarrow",
    }
    challenge = service.voices.begin_enrolment(
        world.admin, name=words["voice"], language="en", grantee="studio", purpose="narration",
        subject_name=words["name"],
    )  # fmt: skip
    voice_id = challenge.voice_id
    service.voices.complete_enrolment(
        world.admin,
        challenge.enrolment_id,
        EnrolmentAnswer(
            reference=marked(3), transcript=TRANSCRIPT, statement=marked(4), note="marked note Xanthe"
        ),
    )
    service.voices.review(world.reviewer, voice_id, approve=True)
    consent_id = service.consents.record(
        world.admin, voice_id=voice_id, terms=world.terms()
    ).consent.consent_id
    service.consents.revoke(world.admin, consent_id, words["reason"])
    salts = [
        bytes(salt)
        for object_id in (voice_id, consent_id, challenge.enrolment_id)
        for (salt,) in world.rows(f"SELECT salt FROM salts WHERE object_id = '{object_id}'")
    ]
    ((said_salt,),) = world.rows(f"SELECT said_salt FROM voices WHERE voice_id = '{voice_id}'")
    wrapped = service._core.vault.wrapped_key("acme", voice_id)
    assert len(salts) >= 3
    assert holds(
        database_files(world, kept_only=True), words["name"].encode()
    )  # the search finds what is there

    service.deletion.decommission(world.admin, voice_id, "marked the end Zephyr")
    kept = database_files(world, kept_only=True)
    for needle in (*words.values(), "marked note Xanthe", "marked the end Zephyr"):
        assert not holds(kept, needle.encode()), needle
        assert not holds(kept, needle.encode().hex().encode()), needle
    for salt in (*salts, bytes(said_salt)):
        assert not holds(kept, salt)
    everything = [*database_files(world), *(path for path in world.data_dir.rglob("*") if path.is_file())]
    assert not holds(everything, wrapped)  # the ledger never held it, and nothing else does any more


def test_everything_in_the_data_folder_is_for_its_owner_alone(world: Tenant) -> None:
    for path in [world.data_dir, *world.data_dir.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
