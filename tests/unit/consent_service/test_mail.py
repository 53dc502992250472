"""Messages reach a real SMTP server under TLS, or a folder for its owner alone; a message that is not taken is told."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from consent_service.errors import MessageNotSent
from consent_service.mail import Message, NoMessenger, Outbox, SmtpConfig, SmtpMessenger
from foundation.private_files import KeyFileUnsafe
from tests.unit.consent_service.post import letters, read_letter

LETTER = Message("mary@example.org", "Your link to Exämple", "Open http://page/me#sign_in=a.b.c\nöffne das\n")


@dataclass
class MailServer:
    """Speaks enough of RFC 5321, 3207 and 4954 to take a message, on a socket of its own."""

    tls: ssl.SSLContext
    port: int = 0
    taken: list[bytes] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refuse: bytes = b""  # a command that is answered with an error
    offer_tls: bool = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")
            await writer.drain()

        is_encrypted = False
        await say("220 mail")
        while line := await reader.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if self.refuse and verb == self.refuse:
                await say("550 no such user mary@example.org here")
            elif verb in (b"EHLO", b"HELO"):
                await say("250-mail" if self.offer_tls and not is_encrypted else "250-mail again")
                await say("250-AUTH PLAIN" if is_encrypted or not self.offer_tls else "250-STARTTLS")
                await say("250 8BITMIME")
            elif verb == b"STARTTLS":
                await say("220 go on")
                await writer.start_tls(self.tls)
                is_encrypted = True
            elif verb == b"AUTH":
                self.logins.append(base64.b64decode(line.split()[2]).decode())
                await say("235 welcome")
            elif verb == b"DATA":
                await say("354 end with a dot")
                self.taken.append(await reader.readuntil(b"\r\n.\r\n"))
                self.encrypted.append(is_encrypted)
                await say("250 taken")
            elif verb == b"QUIT":
                await say("221 bye")
                break
            else:
                await say("250 ok")
        writer.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def server(certificate: tuple[Path, Path]) -> Iterator[MailServer]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    mail, loop, started = MailServer(tls), asyncio.new_event_loop(), threading.Event()

    async def start() -> None:
        listening = await asyncio.start_server(mail.serve, "localhost", 0, family=2)
        mail.port = listening.sockets[0].getsockname()[1]
        started.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    yield mail
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def settings(server: MailServer, certificate: tuple[Path, Path], **changes: object) -> SmtpConfig:
    usual = {
        "host": "localhost",
        "port": server.port,
        "sender": "voices@example.org",
        "ca_file": certificate[0],
    }
    return SmtpConfig.model_validate({**usual, **changes})


def test_a_message_goes_out_under_starttls_with_a_password_from_a_private_file(
    server: MailServer, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("hunter2\n")
    config = settings(server, certificate, username="voices", password_file=password)
    SmtpMessenger(config).send(LETTER)
    assert server.encrypted == [True]
    assert server.logins == ["\0voices\0hunter2"]
    letter = read_letter(server.taken[0].replace(b"\r\n..", b"\r\n."))
    assert (letter.to, letter.subject) == (LETTER.to, LETTER.subject)
    assert letter.token == "a.b.c"
    assert "öffne das" in letter.text
    assert "hunter2" not in repr(config)
    password.chmod(0o640)
    with pytest.raises(MessageNotSent) as refused:
        SmtpMessenger(config).send(LETTER)
    assert KeyFileUnsafe.__name__ in refused.value.message


def test_without_tls_nothing_is_said(server: MailServer, certificate: tuple[Path, Path]) -> None:
    server.offer_tls = False
    with pytest.raises(MessageNotSent):
        SmtpMessenger(settings(server, certificate)).send(LETTER)
    assert server.taken == []


def test_a_server_that_nobody_vouches_for_gets_nothing(
    server: MailServer, certificate: tuple[Path, Path]
) -> None:
    with pytest.raises(MessageNotSent):
        SmtpMessenger(settings(server, certificate, ca_file=None)).send(LETTER)
    assert server.taken == []


@pytest.mark.parametrize("verb", [b"RCPT", b"DATA", b"MAIL"])
def test_a_refusal_is_told_without_the_address(
    server: MailServer, certificate: tuple[Path, Path], verb: bytes
) -> None:
    server.refuse = verb
    with pytest.raises(MessageNotSent) as refused:
        SmtpMessenger(settings(server, certificate)).send(LETTER)
    told = refused.value.message + repr(refused.value.__cause__) + repr(refused.value.__context__ and "")
    assert "mary" not in told
    assert refused.value.__suppress_context__


def test_nobody_listening_is_told(certificate: tuple[Path, Path]) -> None:
    config = SmtpConfig(host="localhost", port=1, sender="a@b.c", ca_file=certificate[0], timeout_s=2)
    with pytest.raises(MessageNotSent):
        SmtpMessenger(config).send(LETTER)
    with pytest.raises(MessageNotSent):
        NoMessenger().send(LETTER)


@pytest.mark.parametrize(
    "wrong",
    [
        {"security": "none"},
        {"host": "127.0.0.1", "security": "none", "username": "u", "password_file": "/p"},
        {"username": "u"},
        {"password_file": "/p"},
        {"port": 0},
    ],
)
def test_a_password_or_a_link_never_goes_out_in_the_open(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SmtpConfig.model_validate({"host": "mail.example.org", "sender": "a@b.c", **wrong})
    assert SmtpConfig(host="127.0.0.1", security="none", sender="a@b.c")


def test_the_outbox_is_for_its_owner_alone(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "data" / "outbox")
    for _ in range(2):
        outbox.send(LETTER)
    assert [letter.token for letter in letters(tmp_path / "data")] == ["a.b.c", "a.b.c"]
    folder = tmp_path / "data" / "outbox"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("hostile", ["a@b.c\r\nBcc: x@y.z", "a@b.c\nX: y"])
def test_a_header_can_not_be_smuggled_in(tmp_path: Path, hostile: str) -> None:
    with pytest.raises(MessageNotSent):
        Outbox(tmp_path / "outbox").send(Message(hostile, "s", "t"))
