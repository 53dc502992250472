"""Voices: enrolment, further statements, review, designed voices."""

from __future__ import annotations

from sqlalchemy import select

from consent_service.access import Permission, may_see
from consent_service.core import Core
from consent_service.errors import NotFound
from consent_service.examination.examiner import Examiner
from consent_service.ledger.tables import voices
from consent_service.models import Principal, Voice
from consent_service.voices import records
from consent_service.voices.designed import DesignedVoices
from consent_service.voices.enrolment import Contacts, Enrolments
from consent_service.voices.review import Reviews
from consent_service.voices.statements import Statements


class Voices:
    """`ConsentService.voices`. Thread-safe."""

    def __init__(self, core: Core, examiner: Examiner, contacts: Contacts) -> None:
        self._core = core
        enrolments, statements = Enrolments(core, examiner, contacts), Statements(core, examiner)
        reviews, designed = Reviews(core), DesignedVoices(core, examiner)
        self.begin_enrolment = enrolments.begin
        self.complete_enrolment = enrolments.complete
        self.doubts = enrolments.doubts
        self.begin_statement = statements.begin
        self.complete_statement = statements.complete
        self.under_review = reviews.under_review
        self.open_statement = reviews.open_statement
        self.review = reviews.decide
        self.keep_designed = designed.keep

    def list_all(self, by: Principal) -> list[Voice]:
        """Every voice of the tenant, oldest first."""
        with self._core.read(by, Permission.VOICE_READ) as reading:
            query = select(voices).where(voices.c.tenant == reading.tenant).order_by(voices.c.created_at)
            rows = reading.connection.execute(query).mappings()
            return [records.to_voice(row) for row in rows if may_see(reading.by, row["voice_id"])]

    def get(self, by: Principal, voice_id: str) -> Voice:
        """Raises NotFound."""
        with self._core.read(by, Permission.VOICE_READ) as reading:
            if not may_see(reading.by, voice_id):
                raise NotFound("no such voice", code="voice_unknown")
            return records.to_voice(records.find(reading.connection, reading.tenant, voice_id))
