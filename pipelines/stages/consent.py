"""First stage: may this row be spoken?

Each row comes out with a status (refused, error, or a finished clip that still stands) or with a grant. One
look-up per batch. An error of the gate refuses the whole batch: there is no way past it (DESIGN I2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from consent_service.grants import Grant
from consent_service.models import Allow, Deny, Principal, SpeechClaim
from consent_service.service import ConsentService
from pipelines.rows import NOT_FINISHED, CheckedRow, GrantedRow, RowResult, ScriptRow
from pipelines.stages.clips import OutputClips
from provenance.labels.spoken import disclaimed
from synthesis.outcome import row_failure


class Consent:
    """Callable over a batch of rows.

    finished: the results of earlier runs that have a clip, by row id. disclaimer: the sentence that a clip in a
    language begins with, or None.
    """

    def __init__(
        self,
        service: ConsentService,
        principal: Callable[[], Principal],
        clips: OutputClips,
        finished: Mapping[str, RowResult],
        *,
        model: str,
        purpose: str | None,
        max_characters: int,
        lexicon: Mapping[str, str] | None = None,
        disclaimer: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._service = service
        self._principal = principal
        self._clips = clips
        self._finished = finished
        self._model = model
        self._purpose = purpose
        self._max_characters = max_characters
        self._lexicon = lexicon
        self._disclaimer = disclaimer

    def __call__(self, rows: Sequence[ScriptRow]) -> list[RowResult | GrantedRow]:
        """One value per row, in order."""
        read = [self._read(row) for row in rows]
        decisions = iter(self._decide([row.claim() for row in read if isinstance(row, CheckedRow)]))
        decided = [self._settle(row, next(decisions)) if isinstance(row, CheckedRow) else row for row in read]
        return [self._with_past(value) if isinstance(value, RowResult) else value for value in decided]

    def _read(self, row: ScriptRow) -> RowResult | CheckedRow:
        """Check the row's own fields; no grant yet."""
        purpose = row.purpose or self._purpose
        result = RowResult(
            **NOT_FINISHED,
            id=row.id,
            row_digest=row.digest(self._model, purpose),
            language=row.language,
            voice=row.voice,
            purpose=purpose,
        )
        try:
            utterance = row.utterance(lexicon=self._lexicon, max_characters=self._max_characters)
        except Exception as exc:  # noqa: BLE001 — whatever a row holds, it is that row's status
            return result.fail(*row_failure(exc))
        # After the lexicon, which must not respell it; before the decision, which covers all that is said.
        text = disclaimed(utterance.text, self._disclaimer(utterance.language))
        utterance = replace(utterance, text=text)
        result = replace(result, language=utterance.language, characters=utterance.characters)
        return CheckedRow(utterance, row.seed or 0, result)

    def _decide(self, claims: Sequence[SpeechClaim]) -> list[Allow | Deny | Exception]:
        if not claims:
            return []
        try:
            # The key is checked for every batch: one revoked mid-run stops the run's speech at once.
            return [*self._service.gate.authorize_many(self._principal(), claims)]
        except Exception as exc:  # noqa: BLE001 — fail closed: whatever went wrong, no grant
            return [exc] * len(claims)

    def _settle(self, row: CheckedRow, decision: Allow | Deny | Exception) -> RowResult | GrantedRow:
        match decision:
            case Exception():
                return row.result.fail(*row_failure(decision))
            case Deny():
                return row.result.fail("refused", decision.code, decision.reason)
            case Allow():
                granted = row.granted(decision)
                try:
                    return self._kept(granted.result, decision.grant) or granted
                except Exception as exc:  # noqa: BLE001 — an unknown standing is not a standing
                    return row.result.fail(*row_failure(exc))

    def _kept(self, row: RowResult, grant: Grant) -> RowResult | None:
        """The earlier result, if it is the same row, its clip is there and the consent it was made under
        stands."""
        done = self._finished.get(row.id)
        if done is None or done.clip_id is None or done.row_digest != row.row_digest:
            return None
        made_under = (done.purpose, done.consent_id, done.consent_version)
        if made_under != (grant.purpose, grant.consent_id, grant.consent_version):
            return None
        # The output folder is anyone's who can write there: only the register says whose clip it is, and which.
        known = self._service.clips.find_clip(grant.tenant, done.clip_id)
        if known is None or (known.voice_id, known.grantee, known.purpose, known.audio_sha256) != (
            grant.voice_id, grant.grantee, grant.purpose, done.audio_sha256,
        ):  # fmt: skip
            return None
        standing, _ = self._service.clips.standing(done.clip_id, done.consent_id, done.consent_version)
        uri = self._clips.uri(done.clip_id)
        if not standing.may_leave or not self._clips.has(uri):
            return None
        return replace(done, status="ok", code=None, message=None, clip_uri=uri)

    def _with_past(self, row: RowResult) -> RowResult:
        """A refused row has no clip: what an earlier run made of it goes now. A row that could not be decided
        keeps its clip out of sight, so that an outage of the ledger costs no work."""
        done = self._finished.get(row.id)
        if row.status == "ok" or done is None or done.clip_id is None:
            return row
        if row.status == "error" and done.row_digest == row.row_digest:
            return row.with_clip_of(done)
        self._clips.delete_at(done.clip_uri or self._clips.uri(done.clip_id))
        return row
