"""The whole story on one machine: enrol → consent → speak → refuse → narrate → verify → revoke → audit.

Everything goes through the product's own doors: HTTP for requests, Ray Data for the batch, the ledger's service for
enrolment. A step that does not turn out as promised ends the demonstration.
"""

from __future__ import annotations

import shutil
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx

from consent_service.models import Claims, ConsentTerms, EnrolmentAnswer, Role, Voice
from consent_service.proofs.log import verify_export
from consent_service.service import ConsentService
from pipelines.config import NarrateConfig, NarrateSummary, Progress
from pipelines.keyfile import write_key_file
from pipelines.narrate import narrate
from provenance.verify import Verifier
from serve_app.config import AppConfig
from serve_app.runtime.start import Running, running
from vouch.demo import script
from vouch.demo.refusals import show_refusals
from vouch.demo.steps import Steps, promise
from vouch.demo.subject import EVIDENCE, StandIn
from vouch.home import make_identity
from vouch.output import Failed, iso, plain
from vouch.retrying import TRIES, answer_to, result_of

TENANT: Final = "demonstration"
STUDIO: Final = "demonstration-studio"
YEAR_S: Final = 365 * 86_400.0
SHORT_S: Final = 20.0  # a consent that has expired by the time that Ray has started
NARRATIONS: Final = 5  # at most, to finish one script

# A demonstration on a machine that is busy with other things is late, and not refused: every limit that ends one
# request is long. What may be said, and for how long after a withdrawal, stays as it is.
_PATIENT: Final[dict[str, Any]] = {
    "ingress": {"request_deadline_s": 3600.0},
    "gate": {"timeout_s": 60.0},
    "voice": {"num_cpus": 0.5},
    "http": {"port": 0},
}
_PATIENT_LEDGER: Final = {"busy_timeout_s": 120.0, "grant_start_within_s": 3600.0}

FIRST = StandIn("First demonstration subject", pitch=35, rate=150)
SECOND = StandIn("Second demonstration subject", pitch=70, rate=165)
SAMPLE = (
    "The sun had not yet risen. The sea was indistinguishable from the sky, except that the sea was slightly "
    "creased, as if a cloth had wrinkles in it."
)
LINE = "A voice is lent, not given, and what it says can be traced back to the one who lent it."


class Story:
    """One run. Holds what later steps need of earlier ones."""

    def __init__(self, folder: Path, steps: Steps) -> None:
        self.folder = folder
        self.steps = steps
        ledger = folder / "ledger"
        self.config = AppConfig.local(ledger, consent={"data_dir": ledger, **_PATIENT_LEDGER}, **_PATIENT)
        self.service = ConsentService.open(self.config.consent)
        self.keys = make_identity(self.service, tenant=TENANT, grantee=STUDIO)
        self.tokens: dict[str, str] = {}
        self.rows = {"in": 0, "ok": 0, "refused": 0, "error": 0}

    def by(self, part: str) -> Any:
        return self.service.authenticate(self.keys[part])

    def run(self) -> None:
        """All steps. Whatever was started is stopped on the way out, also on Ctrl-C."""
        try:
            self.enrol()
            self.consent()
            with ExitStack() as running_app:
                app = self.speak(running_app)
                self.refusals(app)
                self.narration()
                self.verify(app)
                self.revoke(app)
            self.audit()
        finally:
            self.service.close()
            shutil.rmtree(self.config.consent.data_dir / "vault", ignore_errors=True)

    # 1 ----------------------------------------------------------------------------------------------------------
    def enrol(self) -> None:
        with self.steps.step(
            "enrol", "Enrol two voices: challenge, recordings, and a second person's review"
        ) as seen:
            self.first = self._enrol(FIRST, "First voice")
            self.second = self._enrol(SECOND, "Second voice")
            seen.update(
                voices=2, evidence=EVIDENCE, kept="encrypted; the recordings themselves touched no disk"
            )

    def _enrol(self, subject: StandIn, name: str) -> Voice:
        challenge = self.service.voices.begin_enrolment(
            self.by("admin"),
            name=name,
            language="en",
            grantee=STUDIO,
            purpose="narration",
            subject_name=subject.name,
        )
        self.steps.say(f"to be read aloud: “{challenge.sentence}”")
        answer = EnrolmentAnswer(
            reference=subject.record(SAMPLE, "en"),
            transcript=SAMPLE,
            statement=subject.record(challenge.sentence, "en"),
            note=EVIDENCE,
        )
        voice = result_of(
            lambda: self.service.voices.complete_enrolment(self.by("admin"), challenge.enrolment_id, answer),
            self.steps.say,
        )
        promise(voice.state == "review", "an enrolled voice waits for review")
        waiting = self.service.voices.under_review(self.by("reviewer"), voice.voice_id)
        speaker = waiting.evidence["speaker"]
        promise(speaker["outcome"] == "same", f"both recordings are of one speaker, not {speaker['outcome']}")
        self.steps.say(f"one speaker (score {speaker['score']}), unmarked; a reviewer listens and approves")
        promise(
            bool(self.service.voices.open_statement(self.by("reviewer"), voice.voice_id)),
            "a reviewer can listen",
        )
        voice = self.service.voices.review(self.by("reviewer"), voice.voice_id, approve=True, note=EVIDENCE)
        self._state_further(subject, voice, "accessibility")
        return voice

    def _state_further(self, subject: StandIn, voice: Voice, purpose: str) -> None:
        """What the enrolment's statement does not cover is said in a statement of its own."""
        challenge = self.service.voices.begin_statement(
            self.by("admin"), voice.voice_id, grantee=STUDIO, purpose=purpose
        )
        statement = subject.record(challenge.sentence, "en")
        result_of(
            lambda: self.service.voices.complete_statement(
                self.by("admin"), challenge.enrolment_id, statement=statement, note=EVIDENCE
            ),
            self.steps.say,
        )
        self.service.voices.review(self.by("reviewer"), voice.voice_id, approve=True, note=EVIDENCE)

    # 2 ----------------------------------------------------------------------------------------------------------
    def consent(self) -> None:
        with self.steps.step(
            "consent", "Record what each person consents to, and give each a receipt"
        ) as seen:
            wide = self._record(
                self.first, ("narration", "accessibility"), ("en", "de", "fr", "es", "it"), YEAR_S
            )
            narrow = self._record(self.second, ("accessibility",), ("en", "pt", "ru"), YEAR_S)
            short = self._record(self.second, ("narration",), ("en",), SHORT_S, bind=False)
            self.short_until = short.consent.terms.valid_until
            self.consent_id = wide.consent.consent_id
            self.tokens = {
                "first": wide.consent_token,
                "second": narrow.consent_token,
                "expired": short.consent_token,
            }
            (self.folder / "receipts").mkdir()
            for recorded in (wide, narrow, short):
                path = self.folder / "receipts" / f"{recorded.consent.consent_id}.json"
                path.write_text(recorded.receipt, encoding="utf-8")
            receipt = f"receipts/{self.consent_id}.json"
            self.steps.say(f"receipt of the first: {receipt}")
            seen.update(consents=3, receipt=receipt)

    def _record(
        self,
        voice: Voice,
        purposes: tuple[str, ...],
        languages: tuple[str, ...],
        lasts_s: float,
        *,
        bind: bool = True,
    ) -> Any:
        now = time.time()
        terms = ConsentTerms(STUDIO, purposes, languages, valid_from=now - 1, valid_until=now + lasts_s)
        recorded = self.service.consents.record(self.by("admin"), voice_id=voice.voice_id, terms=terms)
        if bind:
            self.service.tenants.bind_consent(
                self.by("admin"), self.by("narrator").key_id, recorded.consent.consent_id
            )
        return recorded

    # 3 ----------------------------------------------------------------------------------------------------------
    def speak(self, running_app: ExitStack) -> Running:
        with self.steps.step(
            "speak", "Start Ray Serve, and speak over HTTP: designed, preset and cloned"
        ) as seen:
            self.steps.say("starting ingress, consent gate and voice replica …")
            app: Running = running_app.enter_context(
                running(self.config, drain=False, waits_for=self.steps.waits_for)
            )
            self.steps.waits_for("the clips")
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ray put its own handler in place
            self.steps.say(f"ready at {app.url}")
            clips = self.folder / "clips"
            clips.mkdir()
            design = self._post(
                app, "/v1/voice-design", text=LINE, language="en", instruct="A calm, low, slow voice"
            )
            (clips / "designed.wav").write_bytes(design.content)
            kept = self._admin(
                app, "/v1/voices/designed", name="House voice", language="en",
                clip_id=design.headers["x-clip-id"], transcript=LINE,
            )  # fmt: skip
            self.designed = str(kept.json()["voice_id"])
            preset = self._post(app, "/v1/custom-voice", text=LINE, language="en", speaker="Vivian")
            (clips / "preset.wav").write_bytes(preset.content)
            clone = self._clone(app)
            (clips / "cloned.wav").write_bytes(clone.content)
            promise(self._clone(app).headers["x-cache"] == "hit", "the same request gives the same clip")
            openai = self._openai(app)
            (clips / "openai.wav").write_bytes(openai)
            seen.update(clips=4, clone_clip_id=clone.headers["x-clip-id"], openai_bytes=len(openai))
        return app

    def _clone(self, app: Running) -> httpx.Response:
        return self._post(
            app, "/v1/voice-clone", text=LINE, language="en", voice_id=self.first.voice_id,
            consent_token=self.tokens["first"],
        )  # fmt: skip

    def _openai(self, app: Running) -> bytes:
        """The official client, unchanged; the consent is the key's default binding."""
        from openai import OpenAI

        with OpenAI(
            api_key=self.keys["narrator"], base_url=f"{app.url}/v1", timeout=None, max_retries=TRIES
        ) as client:
            answer = client.audio.speech.create(
                model="qwen3-tts", voice=self.first.voice_id, input="The same gates stand behind this door.",
                response_format="wav", extra_body={"purpose": "narration"},
            )  # fmt: skip
            return answer.content

    def _post(self, app: Running, path: str, *, expect: int = 200, **body: Any) -> httpx.Response:
        body = {"purpose": "narration", **body}
        return self._send(app, path, self.keys["narrator"], body, expect)

    def _admin(self, app: Running, path: str, *, expect: int = 201, **body: Any) -> httpx.Response:
        return self._send(app, path, self.keys["admin"], body, expect)

    def _ask(self, app: Running, method: str, path: str, key: str = "", **content: Any) -> httpx.Response:
        """The service's answer. It has limits of its own for how long it works on a request."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return answer_to(
            lambda: httpx.request(method, f"{app.url}{path}", headers=headers, timeout=None, **content),  # noqa: S113
            self.steps.say,
        )

    def _send(self, app: Running, path: str, key: str, body: dict[str, Any], expect: int) -> httpx.Response:
        answer = self._ask(app, "POST", path, key, json=body)
        if answer.status_code != expect:
            error = answer.json().get("error", {}) if "json" in answer.headers.get("content-type", "") else {}
            raise Failed(
                str(error.get("code", answer.status_code)),
                f"{path}: {error.get('message', answer.status_code)}",
            )
        return answer

    # 4 ----------------------------------------------------------------------------------------------------------
    def refusals(self, app: Running) -> None:
        with self.steps.step("refusals", "What must not be said is refused, with status and code") as seen:
            everything = Claims(("narration", "accessibility", "advertising"), ("*",), ("*",), ("*",))
            self.steps.waits_for("the end of the consent that lasts 20 seconds")
            time.sleep(max(0.0, self.short_until + 1.0 - time.time()))
            self.steps.waits_for("the end of this step")
            stranger = self.service.tenants.create_key(
                self.by("admin"), grantee="another-studio", roles=[Role.NARRATOR], claims=everything
            )
            seen["cases"] = show_refusals(
                self.steps, app.url, self.config, self.service, keys={**self.keys, "stranger": stranger},
                first=self.first.voice_id, second=self.second.voice_id, tokens=self.tokens,
            )  # fmt: skip

    # 5 ----------------------------------------------------------------------------------------------------------
    def narration(self) -> None:
        with self.steps.step(
            "narration", f"Narrate {script.ROWS} rows of public-domain prose with Ray Data"
        ) as seen:
            cast = script.Cast(
                self.first.voice_id, self.second.voice_id, self.designed, ("Vivian", "Ryan", "Sohee")
            )
            self.script = script.rows(cast)
            script.write(self.script, self.folder / "script.parquet")
            summary = self._narrate()
            wrong = script.mismatches(self.script, self.folder / "narration")
            promise(not wrong, "; ".join(wrong[:5]))
            self.rows = {
                "in": summary.rows_in,
                "ok": summary.ok,
                "refused": summary.refused,
                "error": summary.error,
            }
            seen.update(plain(summary.model_dump()), output="narration")
            self.steps.say(
                f"{summary.rows_in} rows in, {summary.ok} spoken, {summary.refused} refused, {summary.error} errors; "
                f"{summary.seconds_audio:.0f} s of audio"
            )

    def _narrate(self) -> NarrateSummary:
        data_dir = self.config.consent.data_dir
        config = NarrateConfig(
            input=str(self.folder / "script.parquet"),
            output=str(self.folder / "narration"),
            consent=self.config.consent,
            engine=self.config.engine,
            api_key_file=write_key_file(data_dir / "narrator.key", self.keys["narrator"]),
            engines=1,
        )
        for _ in range(NARRATIONS):
            self._tell_at = 1
            summary = narrate(config, self._report)
            if not summary.error:
                break
            codes = ", ".join(summary.codes)
            self.steps.say(f"{summary.error} rows ended in an error ({codes}); going on with those")
        return summary

    def _report(self, progress: Progress) -> None:
        if progress.stage == "narrate" and progress.rows_done >= self._tell_at:
            self.steps.say(f"{progress.rows_done} of {progress.rows_in} rows")
            self._tell_at = progress.rows_done + script.ROWS // 5

    # 6 ----------------------------------------------------------------------------------------------------------
    def verify(self, app: Running) -> None:
        with self.steps.step("verify", "Whose clip is this? Then one byte is flipped") as seen:
            clip = (self.folder / "clips" / "cloned.wav").read_bytes()
            verdict = self._verify(app, clip)
            answers = (verdict["origin"], verdict["integrity"], verdict["standing"])
            promise(
                answers == ("ours", "intact", "live"), f"a fresh clip is ours, intact and live, not {answers}"
            )
            self.steps.say(verdict["sentence"])
            flipped = bytearray(clip)
            flipped[len(clip) // 2] ^= 1
            altered = self._verify(app, bytes(flipped))
            promise(altered["integrity"] == "altered", "one flipped byte is caught")
            self.steps.say(altered["sentence"])
            public = self._ask(app, "POST", "/v1/verify", content=clip).json()
            promise(
                "standing" not in public and "evidence" not in public, "anonymous callers get no standing"
            )
            anchor = self.service.keys.trust_anchor()
            (self.folder / "trust-anchor.pem").write_bytes(anchor)
            promise(
                Verifier(anchor).verify(clip).origin.value == "ours",
                "the certificate alone shows whose it is",
            )
            seen.update(verdict=list(answers), flipped=altered["integrity"])

    def _verify(self, app: Running, clip: bytes) -> dict[str, Any]:
        answer = self._ask(app, "POST", "/v1/verify", self.keys["auditor"], content=clip)
        answer.raise_for_status()
        verdict: dict[str, Any] = answer.json()
        return verdict

    # 7 ----------------------------------------------------------------------------------------------------------
    def revoke(self, app: Running) -> None:
        with self.steps.step(
            "revoke", "The first person withdraws: request, cached clip and batch are refused"
        ) as seen:
            clip_id = str(self.steps.results["speak"]["clone_clip_id"])
            self._admin(
                app, f"/v1/consents/{self.consent_id}/revoke", expect=200, reason="withdrawn by the subject"
            )
            clone = {"text": LINE, "language": "en", "voice_id": self.first.voice_id, "purpose": "narration",
                     "consent_token": self.tokens["first"]}  # fmt: skip
            request = self._ask(app, "POST", "/v1/voice-clone", self.keys["narrator"], json=clone)
            cached = self._ask(app, "GET", f"/v1/clips/{clip_id}", self.keys["narrator"])
            for answer, what in ((request, "the same request"), (cached, "the cached clip")):
                code = answer.json()["error"]["code"] if answer.status_code != 200 else "200"
                promise(
                    (answer.status_code, code) == (403, "consent_revoked"), f"{what} is refused, not {code}"
                )
                self.steps.say(f"{what}: {answer.status_code} {code}")
            standing = self._verify(app, (self.folder / "clips" / "cloned.wav").read_bytes())
            promise(standing["standing"] == "withdrawn since", "the clip's consent shows as withdrawn")
            self.steps.say(standing["sentence"])
            again = self._narrate()
            wrong = script.mismatches(
                self.script, self.folder / "narration", revoked=frozenset({self.first.voice_id})
            )
            promise(not wrong, "; ".join(wrong[:5]))
            self.steps.say(f"the batch again: {again.ok} clips stand, {again.refused} rows refused")
            seen.update(request=403, cached=403, standing=standing["standing"], rows_refused=again.refused)

    # 8 ----------------------------------------------------------------------------------------------------------
    def audit(self) -> None:
        with self.steps.step("audit", "Export the audit log and verify it offline") as seen:
            export = self.folder / "audit"
            self.service.log.export(self.by("auditor"), export)
            summary = verify_export(export)
            tampered = self.folder / "audit-tampered"
            shutil.copytree(export, tampered)
            entries = tampered / "entries.jsonl"
            raw = bytearray(entries.read_bytes())
            raw[len(raw) // 2] ^= 1
            entries.write_bytes(raw)
            caught = False
            try:
                verify_export(tampered)
            except Exception as exc:  # noqa: BLE001 - any error type but ours is a failed promise
                caught = getattr(exc, "code", "") == "proof_invalid"
            promise(caught, "one changed byte of the log is caught")
            shutil.rmtree(tampered)
            seen.update(plain(summary))
            self.steps.say(
                f"{summary.size} entries, from {iso(summary.first_at)} to {iso(summary.last_at)}, are as they were "
                "signed; one changed byte is caught"
            )
