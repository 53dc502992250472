"""Taking a message to a person: by SMTP, or into a folder on a laptop. The edge of the world, behind one protocol.

A message holds a link that signs somebody in: nothing of it goes into a log, a repr or an exception, and over a network
it travels only under TLS (STARTTLS, RFC 3207, or from the first byte, RFC 8314).
"""

from __future__ import annotations

import ipaddress
import secrets
import smtplib
import ssl
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from typing import Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from consent_service.errors import MessageNotSent
from foundation.errors import CodedError
from foundation.private_files import make_private_folder, read_private, write_private


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one contact."""

    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)


class Messenger(Protocol):
    def send(self, message: Message) -> None:
        """Hand it over for delivery. Raises MessageNotSent."""
        ...


class SmtpConfig(BaseModel):
    """A mail server that takes our messages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1, description="Name or address of the mail server.")
    port: int = Field(default=587, ge=1, le=65535, description="587 for STARTTLS, 465 for TLS.")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="`none` only to a relay on this machine."
    )
    sender: str = Field(min_length=3, description="The From address.")
    username: str | None = Field(default=None, description="With password_file; None: no login.")
    password_file: Path | None = Field(
        default=None, description="A file of mode 0600 with the password alone."
    )
    ca_file: Path | None = Field(
        default=None, description="Trust these certificates instead of the system's."
    )
    timeout_s: float = Field(default=10.0, gt=0, description="For each answer of the server.")

    @model_validator(mode="after")
    def _in_the_open_only_at_home(self) -> Self:
        if self.security == "none" and (self.username or not _is_this_machine(self.host)):
            raise ValueError(
                "without TLS only to a relay on this machine (127.0.0.1 or ::1), and without a password"
            )
        if (self.username is None) != (self.password_file is None):
            raise ValueError("give username and password_file together, or neither")
        return self


class SmtpMessenger:
    """One connection for each message: there are few of them."""

    def __init__(self, config: SmtpConfig) -> None:
        self._config = config

    def send(self, message: Message) -> None:
        try:
            self._deliver(_email(message, self._config.sender))
        except (OSError, smtplib.SMTPException, ValueError, CodedError) as exc:
            # The server's words may repeat the address: only their kind is told.
            reason = type(exc).__name__
            raise MessageNotSent(
                f"the mail server did not take the message ({reason}); try again later"
            ) from None

    def _deliver(self, email: EmailMessage) -> None:
        config = self._config
        context = ssl.create_default_context(cafile=config.ca_file)
        with self._connect(context) as server:
            if config.security == "starttls":
                server.starttls(context=context)
            if config.username is not None and config.password_file is not None:
                server.login(config.username, read_private(config.password_file).decode().strip())
            server.send_message(email)

    def _connect(self, context: ssl.SSLContext) -> smtplib.SMTP:
        config = self._config
        if config.security == "tls":
            return smtplib.SMTP_SSL(config.host, config.port, timeout=config.timeout_s, context=context)
        return smtplib.SMTP(config.host, config.port, timeout=config.timeout_s)


class Outbox:
    """Messages as files (RFC 5322) in a folder for its owner alone. Whoever reads it can sign in as anybody: it is for
    trying things out on a laptop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Message) -> None:
        try:
            make_private_folder(self._folder)
            name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.eml"
            write_private(self._folder / name, bytes(_email(message, "vouch@localhost")))
        except (OSError, ValueError) as exc:
            raise MessageNotSent(f"the outbox can't be written ({type(exc).__name__})") from None

    def forget(self, contacts: Collection[str]) -> None:
        """Delete whatever was written to them. Raises OSError."""
        for file in self._folder.glob("*.eml"):
            if message_from_bytes(file.read_bytes())["To"] in contacts:
                file.unlink(missing_ok=True)


class NoMessenger:
    """Where no mail server is configured outside of a laptop."""

    def send(self, message: Message) -> None:
        raise MessageNotSent(
            "no mail server is configured: set `smtp` in the consent service's configuration"
        )


def _email(message: Message, sender: str) -> EmailMessage:
    """Raises ValueError for a header with a line break in it."""
    email = EmailMessage()
    email["From"], email["To"], email["Subject"] = sender, message.to, message.subject
    email["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    email.set_content(message.text)
    return email


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
