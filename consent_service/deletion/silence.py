"""The first step of a decommissioning, after which a voice speaks no more: one transaction, whatever comes later."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping, select, update

from consent_service.consents.records import end, to_consent
from consent_service.core import Core, WriteTransaction
from consent_service.ledger.rows import rows_of
from consent_service.ledger.tables import clips, consents, enrolments
from consent_service.models import Principal
from consent_service.voices import records


def silence(
    core: Core, writing: WriteTransaction, by: Principal, row: RowMapping, reason: str
) -> dict[str, Any]:
    """Consents revoked, clips withdrawn, challenges refused, epoch raised, feed told, audited. Returns what the
    certificate says of the voice as it was."""
    voice_id, epoch = row["voice_id"], row["epoch"] + 1
    of = rows_of(consents, writing.tenant, voice_id=voice_id)
    given = (
        writing.connection.execute(select(consents).where(of).order_by(consents.c.recorded_at))
        .mappings()
        .all()
    )
    spoken = rows_of(enrolments, writing.tenant, voice_id=voice_id)
    digests = select(enrolments.c.statement_digest).where(spoken, enrolments.c.statement_digest != "")
    statements = sorted(writing.connection.execute(digests).scalars())
    live = [to_consent(each) for each in given if each["state"] == "live"]
    where_row = rows_of(clips, writing.tenant, voice_id=voice_id, state="live")
    # No examiner's or reviewer's word that comes later may bring the voice back.
    undecided = spoken & enrolments.c.state.in_(("pending", "review"))
    writing.connection.execute(update(enrolments).where(undecided).values(state="refused"))
    withdrawn = writing.connection.execute(update(clips).where(where_row).values(state="withdrawn"))
    records.change(writing, voice_id, state="decommissioned", epoch=epoch)
    told = writing.publish_revocation(voice_id, epoch, None, reason)
    leaf = writing.log.append(
        "voice.decommissioned",
        by=by.key_id,
        voice=voice_id,
        epoch=epoch,
        consents=len(live),
        clips=withdrawn.rowcount,
        reason=writing.log.commit_to(voice_id, "decommissioned", reason),
    )
    for consent in live:
        end(core, writing, by, consent, reason, leaf)
    return {
        "kind": row["kind"],
        "consents": [
            {
                "consent_id": each["consent_id"],
                "version": each["version"],
                "ended_at": each["revoked_at"] or writing.now,
            }
            for each in given
        ],
        "revocation": {"seq": told.seq, "epoch": epoch, "at": told.at},
        "recordings": {"reference": row["prompt_digest"] or None, "statements": statements},
    }
