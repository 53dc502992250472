"""Reading what a service sent: the outbox of an installation, as a person would read their mailbox."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path

_LINK = re.compile(r"https?://\S+#(confirm|sign_in)=([^\s&]+)")


@dataclass(frozen=True)
class Letter:
    to: str
    subject: str
    text: str

    @property
    def token(self) -> str:
        found = _LINK.search(self.text)
        assert found is not None, self.text
        return found[2]


def read_letter(raw: bytes) -> Letter:
    email = message_from_bytes(raw, policy=default)
    body = email.get_body()
    assert body is not None
    return Letter(str(email["To"]), str(email["Subject"]), body.get_content())


def letters(data_dir: Path) -> list[Letter]:
    """Oldest first."""
    return [read_letter(file.read_bytes()) for file in sorted((data_dir / "outbox").glob("*.eml"))]
