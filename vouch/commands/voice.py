"""`vouch voice`: enrol, statement, presets, review, design, list, show, keep, sweep, decommission."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from consent_service.examination.findings import DOUBTS, NOT_SPOKEN
from consent_service.models import EnrolmentAnswer, Principal, UnderReview, Voice, VoiceHoldings
from consent_service.subjects.contacts import OUTBOX
from foundation.private_files import make_private_folder, write_private
from serve_app.clips.service import Clip, ClipRequest
from serve_app.wiring import in_process
from speech.load import load_engine
from speech.text import prepare
from synthesis.voice import Design
from vouch.commands.options import Grantee, Json, Language, Yes, confirmed, moment
from vouch.home import LocalInstallation, app_config, open_home
from vouch.output import Failed, emit, err, plain, reporting

app = typer.Typer(
    help="Voices: enrol a person's, or design one with no person behind it.", no_args_is_help=True
)

_EXAMINING = "examining the recordings …"
VoiceId = Annotated[str, typer.Argument(help="A voice id.")]


@app.command()
def enrol(
    name: Annotated[str | None, typer.Option(help="What to call the voice.")] = None,
    subject: Annotated[str | None, typer.Option(help="Whose voice it is.")] = None,
    contact: Annotated[str, typer.Option(help="Their e-mail address; a link there confirms it.")] = "",
    language: Language = "en",
    grantee: Grantee = None,
    purpose: Annotated[str, typer.Option(help="For what.")] = "narration",
    enrolment: Annotated[str | None, typer.Option(help="Second step: the enrolment to complete.")] = None,
    reference: Annotated[Path | None, typer.Option(help="Recording of the voice, 3 to 60 s.")] = None,
    transcript: Annotated[str | None, typer.Option(help="What the reference says.")] = None,
    statement: Annotated[Path | None, typer.Option(help="Recording of the challenge sentence.")] = None,
    note: Annotated[str, typer.Option(help="Goes into the evidence.")] = "",
    as_json: Json = False,
) -> None:
    """In two steps: the first prints a sentence for the person to read aloud; the second takes the recordings."""
    with reporting(as_json=as_json), open_home() as home:
        admin = home.act_as("admin")
        if enrolment is None:
            if not name or not subject:
                raise typer.BadParameter("the first step needs --name and --subject")
            challenge = home.service.voices.begin_enrolment(
                admin,
                name=name,
                language=language,
                grantee=grantee or home.grantee(),
                purpose=purpose,
                subject_name=subject,
                contact=contact,
            )
            human = (
                f"Record {subject} reading this sentence aloud, within ten minutes:\n\n"
                f"    {challenge.sentence}\n\nthen run:\n\n"
                f"    vouch voice enrol --enrolment {challenge.enrolment_id} --reference REF.wav "
                f"--transcript '…' --statement STATEMENT.wav"
                f"{_told_by_mail(home, contact)}"
            )
            emit(challenge, as_json=as_json, human=human)
            return
        if reference is None or statement is None or not transcript:
            raise typer.BadParameter("the second step needs --reference, --transcript and --statement")
        err.print(_EXAMINING, markup=False)
        voice = home.service.voices.complete_enrolment(
            admin,
            enrolment,
            EnrolmentAnswer(
                reference=reference.read_bytes(),
                transcript=transcript,
                statement=statement.read_bytes(),
                note=note,
            ),
        )
        doubts = home.service.voices.doubts(admin, enrolment)
        _warn(doubts)
        human = (
            f"{voice.voice_id} waits for a reviewer: vouch voice review {voice.voice_id} --listen FOLDER"
            if voice.state == "review"
            else f"{voice.voice_id} is enrolled; nothing was in doubt"
        )
        emit({**plain(voice), "doubts": doubts}, as_json=as_json, human=human)


def _told_by_mail(home: LocalInstallation, contact: str) -> str:
    """Where the link lies that was just sent."""
    if not contact:
        return ""
    config = home.config.consent
    where = (
        f"by {config.smtp.host}"
        if config.smtp
        else f"into {config.data_dir / OUTBOX}: no mail server is configured"
    )
    return f"\n\nA message for {contact} with a link that confirms the address went out {where}"


def _warn(doubts: Sequence[str]) -> None:
    """What whoever enrols can mend at once; the rest is the reviewer's to hear."""
    if NOT_SPOKEN in doubts:
        err.print(
            f"careful: {DOUBTS[NOT_SPOKEN]}. A reviewer will hear it; if the wrong file was sent, begin again",
            markup=False,
        )


@app.command("statement")
def further_statement(
    voice_id: Annotated[str | None, typer.Argument(help="First step: an enrolled voice.")] = None,
    grantee: Grantee = None,
    purpose: Annotated[str, typer.Option(help="For what.")] = "narration",
    challenge: Annotated[str | None, typer.Option(help="Second step: the statement to complete.")] = None,
    statement: Annotated[Path | None, typer.Option(help="Recording of the sentence.")] = None,
    note: Annotated[str, typer.Option(help="Goes into the evidence.")] = "",
    as_json: Json = False,
) -> None:
    """A further statement of an enrolled voice, for a grantee or purpose that its enrolment does not cover."""
    with reporting(as_json=as_json), open_home() as home:
        admin = home.act_as("admin")
        if challenge is None:
            if voice_id is None:
                raise typer.BadParameter("the first step needs a voice id")
            begun = home.service.voices.begin_statement(
                admin, voice_id, grantee=grantee or home.grantee(), purpose=purpose
            )
            human = (
                f"Record the person reading this sentence aloud, within ten minutes:\n\n    {begun.sentence}\n\n"
                f"then run:\n\n    vouch voice statement --challenge {begun.enrolment_id} --statement STATEMENT.wav"
            )
            emit(begun, as_json=as_json, human=human)
            return
        if statement is None:
            raise typer.BadParameter("the second step needs --statement")
        err.print(_EXAMINING, markup=False)
        counts = home.service.voices.complete_statement(
            admin, challenge, statement=statement.read_bytes(), note=note
        )
        doubts = home.service.voices.doubts(admin, challenge)
        _warn(doubts)
        human = "it counts" if counts else "it waits for a reviewer: vouch voice review VOICE --listen FOLDER"
        emit({"statement_id": challenge, "counts": counts, "doubts": doubts}, as_json=as_json, human=human)


@app.command()
def review(
    voice_id: VoiceId,
    approve: Annotated[
        bool | None, typer.Option("--approve/--refuse", help="The decision; without it, what waits is shown.")
    ] = None,
    listen: Annotated[
        Path | None,
        typer.Option(
            help="A folder to put the recordings in, to hear them; delete it when you have decided."
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="Goes into the evidence.")] = "",
    as_json: Json = False,
) -> None:
    """Hear and decide on an enrolment or a further statement; by another key than the one that enrolled."""
    with reporting(as_json=as_json), open_home() as home:
        reviewer = home.act_as("reviewer")
        if listen is not None:
            _write_recordings(home, reviewer, voice_id, listen)
        waiting = home.service.voices.under_review(reviewer, voice_id)
        if approve is None:
            doubts = [f"  {DOUBTS.get(code, code)} [{code}]" for code in waiting.evidence.get("doubts", ())]
            found = "\n".join(["in doubt:", *doubts]) if doubts else "nothing is in doubt"
            human = (
                f"To be heard in the statement:\n\n    {waiting.sentence}\n\n{found}\n"
                f"decide: vouch voice review {voice_id} --approve | --refuse"
            )
            emit(waiting, as_json=as_json, human=human)
            return
        voice = home.service.voices.review(reviewer, voice_id, approve=approve, note=note)
        emit(voice, as_json=as_json, human=_decided(waiting, voice, approve=approve))


def _decided(waiting: UnderReview, voice: Voice, *, approve: bool) -> str:
    what = (
        f"{voice.voice_id} {voice.name}"
        if waiting.kind == "enrolment"
        else f"a statement of {voice.voice_id}"
    )
    if not approve:
        gone = "; its recordings are destroyed" if waiting.kind == "enrolment" else ""
        return f"refused: {what}{gone}"
    return (
        f"approved: {what}\nnext: vouch consent record {voice.voice_id} --purpose {waiting.purpose} "
        f"--language {voice.language} --grantee {shlex.quote(waiting.grantee)} --until YYYY-MM-DD"
    )


def _write_recordings(home: LocalInstallation, reviewer: Principal, voice_id: str, folder: Path) -> None:
    """Where the reviewer asked for them, readable by nobody else, and never over another file."""
    make_private_folder(folder)
    for part in ("statement", "reference"):
        path = folder / f"{part}.wav"
        if path.exists():
            raise Failed("output_exists", f"{path} is there already; choose another folder")
        write_private(path, home.service.voices.open_statement(reviewer, voice_id, part))
    err.print(
        f"statement.wav and reference.wav lie in {folder}; delete them when you have decided", markup=False
    )


@app.command()
def design(
    name: Annotated[str, typer.Option(help="What to call the voice.")],
    instruct: Annotated[str, typer.Option(help="The voice in words.")],
    text: Annotated[
        str, typer.Option(help="What it says in its reference; 3 s at least.")
    ] = "The quick brown fox jumps over the lazy dog, and then it does the same thing once again, a little slower.",
    language: Language = "en",
    as_json: Json = False,
) -> None:
    """Make a voice with no person behind it, and keep it: consistent over any number of clips, without a consent."""
    with reporting(as_json=as_json), open_home() as home:
        utterance = prepare(text, language, instruct)

        async def make() -> Clip:
            async with in_process(home.config, home.service) as context:
                return await context.clips.create_clip(
                    ClipRequest(home.api_key("narrator"), Design(), utterance, "narration")
                )

        clip = asyncio.run(make())
        voice = home.service.voices.keep_designed(
            home.act_as("admin"), name=name, language=utterance.language, reference=clip.audio,
            transcript=utterance.text, clip_id=clip.clip_id,
        )  # fmt: skip
        emit(
            voice,
            as_json=as_json,
            human=f"{voice.voice_id} can speak now: vouch say … --voice {voice.voice_id}",
        )


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All voices of the tenant."""
    with reporting(as_json=as_json), open_home() as home:
        columns = ("voice_id", "name", "kind", "state", "language", "created_at", "retain_until")
        emit(home.service.voices.list_all(home.act_as("admin")), as_json=as_json, columns=columns)


@app.command()
def presets(as_json: Json = False) -> None:
    """The preset speakers of the configured engine: voices that need no enrolment and no consent."""
    with reporting(as_json=as_json):
        engine = load_engine(app_config().engine)
        try:
            speakers = engine.info.speakers
        finally:
            engine.close()
        emit({"speakers": speakers}, as_json=as_json, human="\n".join(speakers) or "this engine has none")


@app.command()
def show(voice_id: VoiceId, as_json: Json = False) -> None:
    """One voice."""
    with reporting(as_json=as_json), open_home() as home:
        emit(home.service.voices.get(home.act_as("admin"), voice_id), as_json=as_json)


@app.command()
def decommission(
    voice_id: Annotated[str | None, typer.Argument(help="A voice id.")] = None,
    reason: Annotated[str | None, typer.Option(help="Goes into the audit log, as a commitment.")] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(help="Where to write the certificate; default: certificates/ of the data folder."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Finish whatever was interrupted.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Irreversible: revoke every consent, destroy key, recordings, clips and names, and write the certificate."""
    with reporting(as_json=as_json), open_home() as home:
        if resume:
            finished = home.service.deletion.resume(home.act_as("admin"))
            emit([_with_certificate(home, voice, None) for voice in finished], as_json=as_json)
            return
        if voice_id is None or reason is None:
            raise typer.BadParameter("name a voice and give a --reason")
        admin = home.act_as("admin")
        if not yes:
            confirmed(_what_goes(home.service.deletion.holdings(admin, voice_id)), yes=yes, as_json=as_json)
        gone = home.service.deletion.decommission(admin, voice_id, reason)
        emit(_with_certificate(home, gone, certificate), as_json=as_json)


@app.command()
def keep(
    voice_id: VoiceId,
    until: Annotated[
        str | None,
        typer.Option(help="A date such as 2028-12-31; without it, the configured period counts again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Set how long a voice is kept; `vouch voice sweep` ends it afterwards."""
    with reporting(as_json=as_json), open_home() as home:
        ends = None if until is None else moment(until)
        emit(home.service.deletion.keep_until(home.act_as("admin"), voice_id, ends), as_json=as_json)


@app.command()
def sweep(
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Do it; without it what would go is only listed.")
    ] = False,
    recordings: Annotated[
        bool,
        typer.Option(
            "--recordings",
            help="Instead, destroy sealed recordings that no voice needs: of refused or broken-off "
            "enrolments, or left by a process that died.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Decommission the voices whose retention period has passed: a dry run, unless confirmed."""
    with reporting(as_json=as_json), open_home() as home:
        if recordings:
            lost = home.service.deletion.sweep_vault(home.act_as("admin"), confirm=confirm)
            emit({"recordings": lost, "destroyed": confirm}, as_json=as_json, human=_say_swept(lost, confirm))
            return
        due = home.service.deletion.sweep_voices(home.act_as("admin"), confirm=confirm)
        emit([_with_certificate(home, voice, None) for voice in due] if confirm else due, as_json=as_json)


def _say_swept(lost: list[str], confirmed: bool) -> str:
    if not lost:
        return "no recording is left over"
    return ("destroyed: " if confirmed else "would be destroyed: ") + ", ".join(lost)


def _with_certificate(home: LocalInstallation, voice: Voice, file: Path | None) -> dict[str, Any]:
    """Write it, readable by its owner alone; whoever gets it decides who else may."""
    text = home.service.deletion.certificate(home.act_as("admin"), voice.voice_id)
    if file is None:
        file = home.config.consent.data_dir / "certificates" / f"{voice.voice_id}.json"
        make_private_folder(file.parent)
    write_private(file.absolute(), text.encode())
    return {**plain(voice), "certificate": str(file)}


def _what_goes(held: VoiceHoldings) -> str:
    person = f", the name and contact of {held.subject_name}" if held.subject_name else ""
    return (
        f"This destroys for good: the voice {held.name!r}, {_count(held.recordings, 'sealed recording')}, every "
        f"copy of {_count(held.clips, 'clip')}{person}; and it revokes {_count(held.consents, 'consent')}. Do it?"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
