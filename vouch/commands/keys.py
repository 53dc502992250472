"""`vouch key`: API keys, shown once; and the installation's own keys, rotated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from consent_service.models import Claims, Role
from consent_service.rotation.rotate import USUAL, KeyKind, Retired, Rotated
from vouch.commands.options import Json, duration, moment
from vouch.home import open_home
from vouch.output import emit, err, reporting

app = typer.Typer(
    help="API keys: roles, and what their holder may claim. And the rotation of the installation's own keys.",
    no_args_is_help=True,
)


@app.command()
def create(
    role: Annotated[list[Role], typer.Option(help="Repeat for several.")],
    grantee: Annotated[
        str | None,
        typer.Option(help="The organisation or team that holds the key; default: that of your own key."),
    ] = None,
    purpose: Annotated[list[str] | None, typer.Option(help="Purposes it may claim.")] = None,
    voice: Annotated[list[str] | None, typer.Option(help="Voices it may name; * for all.")] = None,
    territory: Annotated[list[str] | None, typer.Option(help="Territories it may claim; * for all.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="Channels it may claim; * for all.")] = None,
    label: Annotated[str, typer.Option(help="For your own records.")] = "",
    expires: Annotated[str | None, typer.Option(help="For example 2027-12-31.")] = None,
    as_json: Json = False,
) -> None:
    """Make a key. It is shown this once and stored hashed."""
    with reporting(as_json=as_json), open_home() as home:
        claims = Claims(
            tuple(purpose or ()), tuple(voice or ()), tuple(territory or ()), tuple(channel or ())
        )
        key = home.service.tenants.create_key(
            home.act_as("admin"), grantee=grantee or home.grantee(), roles=role, claims=claims, label=label,
            expires_at=moment(expires) if expires else None,
        )  # fmt: skip
        key_id = home.service.authenticate(key).key_id
        emit({"key_id": key_id, "api_key": key}, as_json=as_json, human=f"{key}   (shown once; id {key_id})")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every key of the tenant, without its secret."""
    with reporting(as_json=as_json), open_home() as home:
        columns = ("key_id", "label", "grantee", "roles", "created_at", "expires_at", "revoked_at")
        emit(home.service.tenants.list_keys(home.act_as("admin")), as_json=as_json, columns=columns)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="A key id.")], as_json: Json = False) -> None:
    """End a key at once."""
    with reporting(as_json=as_json), open_home() as home:
        home.service.tenants.revoke_key(home.act_as("admin"), key_id)
        emit({"revoked": key_id}, as_json=as_json, human=f"revoked: {key_id}")


@app.command()
def bind(
    key_id: Annotated[str, typer.Argument(help="A key id.")],
    consent_id: Annotated[str, typer.Argument(help="The consent it uses by default for its voice.")],
    as_json: Json = False,
) -> None:
    """Let a key speak under a consent without sending a consent token."""
    with reporting(as_json=as_json), open_home() as home:
        home.service.tenants.bind_consent(home.act_as("admin"), key_id, consent_id)
        emit({"key_id": key_id, "consent_id": consent_id}, as_json=as_json, human=f"{key_id} → {consent_id}")


@app.command()
def rotate(
    purpose: Annotated[
        list[KeyKind] | None,
        typer.Option(help="Repeat for several. Without it: grant, log, receipt and kek, the usual ones."),
    ] = None,
    retire: Annotated[
        bool, typer.Option("--retire", help="Instead, forget the old keys; refused while they may be needed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a new key in the place of each current one, or finish a rotation that was interrupted."""
    kinds = tuple(purpose or USUAL)
    with reporting(as_json=as_json), open_home() as home, _bar(quiet=as_json) as progress:
        by = home.act_as("admin")
        if retire:
            retired = home.service.rotation.retire(by, kinds, progress)
            emit(retired, as_json=as_json, human="\n".join(map(_say_retired, retired)) or "nothing to retire")
        else:
            rotated = home.service.rotation.rotate(by, kinds, progress)
            emit(rotated, as_json=as_json, human="\n".join(map(_say_rotated, rotated)))


@app.command("forget-replicas")
def forget_replicas(
    older_than: Annotated[
        str, typer.Option(help="Registered so long ago: 90m, 12h or 30d; an hour at least.")
    ] = "7d",
    as_json: Json = False,
) -> None:
    """Delete the keys of voice replicas that are gone. One that still runs registers anew when it restarts."""
    age_s = duration(older_than)
    with reporting(as_json=as_json), open_home() as home:
        gone = home.service.gate.forget_replicas(home.act_as("admin"), age_s)
        emit({"forgotten": gone}, as_json=as_json, human=f"replica keys forgotten: {gone}")


def _say_rotated(one: Rotated) -> str:
    told = f"{one.kind.value}: {one.old} → {one.new}"
    if one.kind is KeyKind.KEK:
        told += f"; data keys rewrapped: {one.rewrapped}, left under older keys: {one.left}"
    return told + (" (an interrupted rotation, finished)" if one.resumed else "")


def _say_retired(one: Retired) -> str:
    return f"{one.kind.value}: " + (", ".join(one.key_ids) or "nothing to retire")


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Progress of the rewrapping, on stderr."""
    if quiet or not err.is_terminal:
        yield lambda *_: None
        return
    columns = (TextColumn("data keys"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
