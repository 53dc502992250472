"""Everything outside of this process that a configuration names, each with one question that shows whether it is there.

Opening an installation asks for no more than it needs at that moment, so a bucket or a KMS key that does not exist is
found when the first recording comes. `vouch doctor` asks before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from consent_service.config import ConsentConfig
from consent_service.keys.settings import KmsConfig
from consent_service.objects import open_store


@dataclass(frozen=True, slots=True)
class Place:
    """`probe` says what is there, or raises a ConsentError."""

    name: str
    probe: Callable[[], str]
    advice: str


def places(config: ConsentConfig, clips: str) -> Iterator[Place]:
    """Buckets and KMS keys. Folders of this machine are made when they are missing, and need no question.

    clips: where the clips lie; a folder or a URL.
    """
    for setting, where in (
        ("vault_url", config.vault_place),
        ("wrapped_keys_url", config.wrapped_keys_place),
        ("keys_url", config.keys_place),
        ("clip_dir", clips),
    ):
        if str(where).startswith("s3://"):
            yield Place(
                setting, _store(where), f"look at {setting}, at the region, and at the rights of this process"
            )
    if config.kms is not None:
        for setting in ("kek", "seal", "manifest"):
            if name := getattr(config.kms, setting):
                yield Place(
                    f"kms.{setting}",
                    _kms_key(config.kms, name),
                    f"look at consent.kms.{setting}, and at the region",
                )


def _store(where: str | Path) -> Callable[[], str]:
    def probe() -> str:
        open_store(where).probe()
        return str(where)

    return probe


def _kms_key(config: KmsConfig, name: str) -> Callable[[], str]:
    def probe() -> str:
        from consent_service.keys.kms_client import KmsClient  # botocore: only those who need it pay

        KmsClient(config).arn(name)
        return name

    return probe
