"""What a person is written, in plain words: what the link does, who asks, and that ignoring it is safe."""

from __future__ import annotations

from collections.abc import Sequence

from consent_service.config import ConsentConfig
from consent_service.mail import Message


def ask_to_confirm(to: str, page: str, tenant: str, token: str, config: ConsentConfig) -> Message:
    return Message(
        to,
        f"Please confirm this address for {config.provider}",
        f"{config.provider} has been asked to reach you at this address about a recording of your voice.\n\n"
        "If that is right, confirm it within seven days. From then on you can sign in here to see every use of your "
        "voice, to withdraw a consent, and to have your voice deleted:\n\n"
        f"{_link(page, 'confirm', tenant, token)}\n\n"
        "If you know nothing of this, do nothing: the address will not be used." + _footer(config),
    )


def agree_to_change(
    to: str, proposed: str, page: str, tenant: str, token: str, config: ConsentConfig
) -> Message:
    return Message(
        to,
        f"Somebody proposed another address for you at {config.provider}",
        f"From now on, {config.provider} would reach you about your voice at\n\n    {proposed}\n\n"
        "instead of here. Only you can agree to that. To agree, open this link within seven days:\n\n"
        f"{_link(page, 'confirm', tenant, token)}\n\n"
        "If you did not ask for it, do nothing, and this address stays." + _footer(config),
    )


def sign_in_link(
    to: str, page: str, tenant: str, token: str, voices: Sequence[str], config: ConsentConfig
) -> Message:
    named = ", ".join(voices) or "your voice"
    return Message(
        to,
        f"Your link to {config.provider}",
        f"Here you see every use of your voice ({named}), and can withdraw a consent. The link works once, within "
        "15 minutes:\n\n"
        f"{_link(page, 'sign_in', tenant, token)}\n\n"
        "If you did not ask for it, do nothing." + _footer(config),
    )


def _link(page: str, purpose: str, tenant: str, token: str) -> str:
    # In the fragment: it is not sent to the server, and so lies in no access log and no referrer. The page needs the
    # tenant to ask for a later link.
    return f"{page}#{purpose}={token}&tenant={tenant}"


def _footer(config: ConsentConfig) -> str:
    return f"\n\nQuestions: {config.privacy_contact}\n" if config.privacy_contact else "\n"
