"""`vouch consent`: record, list, show, narrow, revoke, receipt."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from consent_service.models import ConsentTerms, Narrowing, RecordedConsent
from vouch.commands.options import Grantee, Json, Yes, confirmed, moment
from vouch.home import open_home
from vouch.output import emit, iso, reporting

app = typer.Typer(help="Consents: who may use a voice, for what, until when.", no_args_is_help=True)

ConsentId = Annotated[str, typer.Argument(help="A consent id.")]
_DAY_S = 86_400.0


def last_day(until: str) -> float:
    """The end of a day, or a time, as Unix seconds."""
    return moment(until) + (_DAY_S if len(until) == 10 else 0.0)


@app.command()
def record(
    voice_id: Annotated[str, typer.Argument(help="Whose voice.")],
    purpose: Annotated[list[str], typer.Option(help="Repeat for several; a purpose covers those below it.")],
    language: Annotated[list[str], typer.Option("--language", "-l", help="Repeat for several; * for all.")],
    until: Annotated[str, typer.Option(help="Last day, for example 2027-12-31; at most ten years.")],
    valid_from: Annotated[str | None, typer.Option("--from", help="First day; default: now.")] = None,
    grantee: Grantee = None,
    territory: Annotated[
        list[str] | None, typer.Option(help="ISO 3166-1 alpha-2; default: everywhere.")
    ] = None,
    channel: Annotated[list[str] | None, typer.Option(help="Default: every channel.")] = None,
    characters: Annotated[
        int | None, typer.Option(help="How many may be spoken in all; default: any.")
    ] = None,
    outside_boundary: Annotated[
        bool, typer.Option("--outside-boundary", help="May be processed outside the controller's boundary.")
    ] = False,
    bind: Annotated[bool, typer.Option(help="Make it the default of the local narrator key.")] = True,
    as_json: Json = False,
) -> None:
    """Record a consent. The consent token is shown this once; the receipt can be printed at any time."""
    with reporting(as_json=as_json), open_home() as home:
        admin = home.act_as("admin")
        terms = ConsentTerms(
            grantee=grantee or home.grantee(),
            purposes=tuple(purpose),
            languages=tuple(language),
            valid_from=moment(valid_from) if valid_from else time.time(),
            valid_until=last_day(until),
            territories=tuple(territory or ("*",)),
            channels=tuple(channel or ("*",)),
            outside_boundary=outside_boundary,
            character_budget=characters,
        )
        recorded = home.service.consents.record(admin, voice_id=voice_id, terms=terms)
        consent = recorded.consent
        if bind and terms.grantee == home.grantee():
            home.service.tenants.bind_consent(admin, home.act_as("narrator").key_id, consent.consent_id)
        emit(recorded, as_json=as_json, human=_lines(recorded))


@app.command("list")
def list_(
    voice_id: Annotated[str | None, typer.Option(help="Of one voice.")] = None, as_json: Json = False
) -> None:
    """All consents of the tenant."""
    with reporting(as_json=as_json), open_home() as home:
        columns = ("consent_id", "version", "voice_id", "state", "terms.grantee", "terms.purposes", "terms.languages",
                   "terms.valid_until")  # fmt: skip
        emit(home.service.consents.list_all(home.act_as("admin"), voice_id), as_json=as_json, columns=columns)


@app.command()
def show(consent_id: ConsentId, as_json: Json = False) -> None:
    """One consent, at its current version."""
    with reporting(as_json=as_json), open_home() as home:
        emit(home.service.consents.get(home.act_as("admin"), consent_id), as_json=as_json)


@app.command()
def narrow(
    consent_id: ConsentId,
    purpose: Annotated[list[str] | None, typer.Option(help="The purposes that remain.")] = None,
    language: Annotated[list[str] | None, typer.Option("--language", "-l", help="That remain.")] = None,
    territory: Annotated[list[str] | None, typer.Option(help="That remain.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="That remain.")] = None,
    until: Annotated[str | None, typer.Option(help="An earlier last day.")] = None,
    characters: Annotated[int | None, typer.Option(help="A smaller budget, or the first one.")] = None,
    inside_boundary: Annotated[
        bool, typer.Option("--inside-boundary", help="No longer to be processed outside.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Less on any axis, never more; what is not named stays. The new version has a token and a receipt of its own.
    Asks first when clips would be withdrawn."""
    if not any((purpose, language, territory, channel, until, characters is not None, inside_boundary)):
        raise typer.BadParameter("name what is to remain, for example --purpose narration.audiobook")
    with reporting(as_json=as_json), open_home() as home:
        admin = home.act_as("admin")
        wanted = Narrowing(
            purposes=_tuple(purpose),
            languages=_tuple(language),
            territories=_tuple(territory),
            channels=_tuple(channel),
            valid_until=last_day(until) if until else None,
            character_budget=characters,
            inside_boundary=inside_boundary,
        )
        if lost := home.service.consents.clips_lost(admin, consent_id, wanted):
            confirmed(
                f"This withdraws {lost} clip{'s' * (lost != 1)} for good: made for what is lost, or with no record "
                "that says otherwise. Narrow the consent?",
                yes=yes,
                as_json=as_json,
            )
        narrowed = home.service.consents.narrow(admin, consent_id, **asdict(wanted))
        emit(narrowed, as_json=as_json, human=_lines(narrowed))


@app.command()
def revoke(
    consent_id: ConsentId,
    reason: Annotated[str, typer.Option(help="Goes into the audit log.")],
    as_json: Json = False,
) -> None:
    """Immediate and irreversible; whatever speaks under it falls silent within a second."""
    with reporting(as_json=as_json), open_home() as home:
        revocation = home.service.consents.revoke(home.act_as("admin"), consent_id, reason)
        emit(revocation, as_json=as_json, human=f"revoked: {consent_id}")


@app.command()
def receipt(consent_id: ConsentId, as_json: Json = False) -> None:
    """The signed receipt (ISO/IEC TS 27560)."""
    with reporting(as_json=as_json), open_home() as home:
        text = home.service.consents.receipt(home.act_as("admin"), consent_id)
        emit({"receipt": text}, as_json=as_json, human=text)


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return tuple(values) if values else None


def _lines(recorded: RecordedConsent) -> str:
    consent, terms = recorded.consent, recorded.consent.terms
    allowed = f"{', '.join(terms.purposes)} in {', '.join(terms.languages)}, until {iso(terms.valid_until)}"
    return (
        f"consent  {consent.consent_id}, version {consent.version}: {allowed}\n"
        f"token    {recorded.consent_token}   (shown once)\n"
        f"receipt  vouch consent receipt {consent.consent_id}"
    )
