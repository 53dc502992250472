"""Designed voices that stay. Nobody stands behind one, so none may be made from a recording of somebody.

Three things must agree before a clip becomes a reference. The replica that redeemed the grant for the design
answers for the digest of what came of it (with the node secret, which no caller holds); the register names the same
digest; and the file carries our own signed manifest, which names this clip and is whole. Whoever can only
authorise, redeem and register gets a grant and no voice.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, insert, select

from consent_service.access import Permission
from consent_service.core import Core
from consent_service.errors import InvalidInput
from consent_service.examination.examiner import Examiner
from consent_service.examination.recordings import read_recording
from consent_service.grants import Basis
from consent_service.ids import new_id, require_name
from consent_service.ledger import tables
from consent_service.ledger.tables import clips, design_reports
from consent_service.models import Principal, Voice
from consent_service.policy.languages import require_language
from consent_service.vault.sealing import pack_reference
from consent_service.voices import records


class DesignedVoices:
    """Clips of designs that became voices."""

    def __init__(self, core: Core, examiner: Examiner) -> None:
        self._core, self._examiner = core, examiner

    def keep(
        self, by: Principal, *, name: str, language: str, reference: bytes, transcript: str, clip_id: str
    ) -> Voice:
        """Keep a designed voice. Its reference must be a registered clip of basis "design" of this tenant that its
        replica answered for (`report_design`), unaltered, with our signed manifest in it; never an upload of anything
        else. Raises InvalidInput (reference_not_designed), ExaminationUnavailable."""
        name, text = require_name(name, "a voice's name"), records.require_transcript(transcript)
        require_language(language)
        recording = read_recording(reference)
        digest, voice_id = hashlib.sha256(reference).hexdigest(), new_id("voice")
        with self._core.read(by, Permission.VOICE_ENROL) as reading:
            _require_ours(reading.connection, reading.tenant, clip_id, digest)
        # No transaction waits for an examiner.
        own = self._examiner.own_clip(reference)
        if own is None or not own.intact or (own.clip_id, own.basis) != (clip_id, Basis.DESIGN.value):
            raise _not_designed()
        try:
            with self._core.write(by, Permission.VOICE_ENROL) as writing:
                _require_ours(writing.connection, writing.tenant, clip_id, digest)
                self._core.vault.create_key(writing.tenant, voice_id)
                packed = pack_reference(recording.wav, text)
                prompt_digest = self._core.vault.store(
                    writing.tenant, voice_id, "reference", packed, origin=clip_id
                )
                row = {
                    "voice_id": voice_id,
                    "tenant": writing.tenant,
                    "name": name,
                    "kind": "designed",
                    "state": "active",
                    "epoch": 1,
                    "language": language,
                    "created_at": writing.now,
                    "prompt_digest": prompt_digest,
                }
                writing.connection.execute(insert(tables.voices), row)
                writing.log.append(
                    "voice.kept",
                    by=by.key_id,
                    voice=voice_id,
                    name=writing.log.commit_to(voice_id, "name", name),
                    clip=clip_id,
                    reference=prompt_digest,
                )
                return records.to_voice(records.find(writing.connection, writing.tenant, voice_id))
        except BaseException:
            self._core.vault.destroy(by.tenant, voice_id)
            raise


def _require_ours(connection: Connection, tenant: str, clip_id: str, digest: str) -> None:
    """A live clip of a one-off design, with this digest in the register and in the replica's report."""
    query = select(clips.c.clip_id).where(
        clips.c.tenant == tenant,
        clips.c.clip_id == clip_id,
        clips.c.basis == Basis.DESIGN.value,
        clips.c.state == "live",
        clips.c.audio_sha256 == digest,
        design_reports.c.tenant == tenant,
        design_reports.c.clip_id == clips.c.clip_id,
        design_reports.c.audio_sha256 == digest,
    )
    if connection.execute(query).one_or_none() is None:
        raise _not_designed()


def _not_designed() -> InvalidInput:
    return InvalidInput(
        "a designed voice is kept from a clip of a one-off design that this service spoke, unaltered",
        code="reference_not_designed",
    )
