"""Recordings, transcripts, texts, keys and tokens: searched for on the disk, in logs, errors and reprs (DESIGN I6)."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from consent_service.errors import ConsentError
from consent_service.grants import Utterance
from consent_service.models import Allow, Claims, Closing, Role
from consent_service.sealing import load_node_secret, open_reference
from tests.unit.consent_service.world import World

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


def test_no_secret_is_found_anywhere(world: World, elsewhere: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service, shown = world.service, []
    reference, statement = marked(1), marked(2)
    token = service.create_api_key(
        world.admin, grantee="studio", roles=[Role.NARRATOR], claims=Claims(("narration",), ("*",))
    )
    narrator = service.authenticate(token)
    challenge = service.begin_enrolment(
        world.admin, name="V", language="en", grantee="studio", purpose="narration", subject_name="P"
    )
    service.complete_enrolment(
        world.admin, challenge.enrolment_id, reference=reference, transcript=TRANSCRIPT, statement=statement
    )
    voice = service.review_enrolment(world.reviewer, challenge.voice_id, approve=True)
    recorded = world.record(voice)
    said = Utterance(SAID, "en")
    claim = world.claim(
        voice_id=voice.voice_id, said_digest=said.digest(), consent_token=recorded.consent_token
    )
    allowed = service.authorize(narrator, claim)
    assert isinstance(allowed, Allow)
    redeemed = service.redeem(allowed.token, world.replica.replica_id)
    wav, transcript = open_reference(world.replica, redeemed)
    assert transcript == TRANSCRIPT
    service.close_clip(redeemed.grant.grant_id, Closing("completed", 1.0, "ab" * 32))
    for attempt in (
        lambda: service.redeem(allowed.token, world.replica.replica_id),
        lambda: service.authenticate(token + "x"),
        lambda: service.complete_enrolment(
            world.admin, "none", reference=reference, transcript=TRANSCRIPT, statement=statement
        ),
        lambda: service.complete_enrolment(
            world.admin, "none", reference=reference[:9000], transcript=TRANSCRIPT, statement=statement
        ),
    ):
        with pytest.raises(ConsentError) as refused:
            attempt()
        shown.append(refused.getrepr(style="short"))
    shown += [said, claim, allowed, redeemed, recorded, world.replica, service, service._core, service.keys]
    service.export_audit(world.auditor, elsewhere / "export")

    secrets = [*pieces(reference), *pieces(statement), *pieces(wav), TRANSCRIPT.encode(), SAID.encode()]
    secrets += [token.split("_", 2)[2].encode(), recorded.consent_token.encode(), allowed.token.encode()]
    node_secret = load_node_secret(world.data_dir)

    spoken = "\n".join(map(str, shown)) + "\n".join(map(repr, shown)) + caplog.text
    for secret in [*secrets, node_secret]:
        assert secret not in spoken.encode()
        assert repr(secret)[2:-1] not in spoken
    files = [path for path in elsewhere.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret in content], path
        assert node_secret not in content or path.name == "node.secret"


def test_everything_in_the_data_folder_is_for_its_owner_alone(world: World) -> None:
    for path in [world.data_dir, *world.data_dir.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
