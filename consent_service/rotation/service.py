"""Keys that change: rotated, retired, and how long manifests can be signed."""

from __future__ import annotations

from collections.abc import Sequence

from consent_service.core import Core
from consent_service.keys.ring import Ring
from consent_service.models import Principal
from consent_service.rotation import rotate, signing_certificate
from consent_service.rotation.rewrap import ProgressCallback
from consent_service.rotation.rotate import USUAL, KeyKind, Retired, Rotated
from consent_service.rotation.signing_certificate import CertificateStatus


class Rotation:
    """`ConsentService.rotation`. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def rotate(
        self, by: Principal, kinds: Sequence[KeyKind] = USUAL, progress: ProgressCallback = lambda *_: None
    ) -> list[Rotated]:
        """A new current key of each kind, or the end of a rotation that was interrupted; old keys still verify and
        unwrap. Local operation on a machine that may change the keys. Needs INSTALLATION, as the next."""
        with rotate.alone(self._core, by) as keys:
            return [rotate.replace_key(self._core, by, keys, kind, progress) for kind in dict.fromkeys(kinds)]

    def retire(
        self, by: Principal, kinds: Sequence[KeyKind] = USUAL, progress: ProgressCallback = lambda *_: None
    ) -> list[Retired]:
        """Forget superseded keys. Raises Conflict: key_overlap while others may still use them, key_in_use while
        something is wrapped under them."""
        with rotate.alone(self._core, by) as keys:
            wanted = [kind for kind in dict.fromkeys(kinds) if kind in rotate.RETIRABLE]
            return [rotate.retire_keys(self._core, by, keys, Ring(kind.value), progress) for kind in wanted]

    def certificate_outlook(self) -> CertificateStatus | None:
        """Until when manifests can be signed, and whether that will be prolonged by itself; None for keys that are
        somebody else's. Local operation."""
        return signing_certificate.outlook(self._core)
