"""What every key provider shares: rings read from a box, signing, manifests, watermark keys.

Where data keys are wrapped is the providers' own: by a key from a file (`provider`), or by a KMS (`kms`).
"""

from __future__ import annotations

import hmac
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives import serialization

from consent_service.errors import SigningCertificateExpired, VaultError
from consent_service.keys.box import KeyBox
from consent_service.keys.certificates import Root, leaf_id
from consent_service.keys.creation import new_key
from consent_service.keys.keeper import CertificateRenewer
from consent_service.keys.manifest import (
    MANIFEST_FILE,
    ROOT_FILE,
    DerSign,
    SigningCertificate,
    chain_of,
    issue_leaf,
    read_leaf,
    read_root,
)
from consent_service.keys.opened import Secrets, Signers, Watched, open_secrets, open_signers
from consent_service.keys.ring import SIGNING, KeyRing, Ring, RingKey
from consent_service.proofs.protocols import Signer
from consent_service.proofs.records import KeyPurpose

KID_BYTES: Final = 8


class RingProvider(ABC):
    """A `KeyProvider` over a box, but for wrapping. Thread-safe; notices when the box changes."""

    def __init__(self, box: KeyBox) -> None:
        """Raises VaultError when a file is missing, KeyFileUnsafe when it is loose."""
        self._box = box
        self._signing: dict[Ring, Watched[Signers]] = {ring: self._watch_signers(ring) for ring in SIGNING}
        self._marks = self._watch_secrets(Ring.WATERMARK)
        self._leaf: Watched[SigningCertificate] = Watched(
            box, MANIFEST_FILE, lambda raw: read_leaf(box, raw, self._remote_manifest_key)
        )
        self._clock: Callable[[], float] = time.time
        self._keeper: CertificateRenewer | None = None
        # What is missing or loose is heard of at opening. The watermark's ring is made later where there was none.
        for ring in self._signing.values():
            ring.get()
        self._leaf.get()
        if box.has(Ring.WATERMARK.file):
            self._marks.get()

    @property
    def box(self) -> KeyBox:
        return self._box

    # signing --------------------------------------------------------------------------------------------------
    def current_key_id(self, purpose: KeyPurpose) -> str:
        return self._signing[Ring(purpose)].get().ring.current

    def signer(self, purpose: KeyPurpose) -> Signer:
        signers = self._signing[Ring(purpose)].get()
        kid = signers.ring.current
        return Signer(kid, signers.public[kid], signers.private[kid].sign)

    def sign(self, purpose: KeyPurpose, message: bytes) -> tuple[str, bytes]:
        signer = self.signer(purpose)
        return signer.key_id, signer.sign(message)

    def public_keys(self, purpose: KeyPurpose) -> dict[str, bytes]:
        return dict(self._signing[Ring(purpose)].get().public)

    # manifests ------------------------------------------------------------------------------------------------
    def keep_leaf(self, keeper: CertificateRenewer, clock: Callable[[], float]) -> None:
        """Let `keeper` look at the leaf with every use of it from now on."""
        self._keeper, self._clock = keeper, clock

    def certificate_chain(self) -> bytes:
        """Raises SigningCertificateExpired, as the next."""
        return self._living_leaf().chain

    def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
        return self._living_leaf(chain).sign(message)

    def leaf(self) -> SigningCertificate:
        """Living or not."""
        return self._leaf.get()

    def leaf_afresh(self) -> SigningCertificate:
        """As the box holds it at this moment: another process may just have renewed it."""
        return self._leaf.again()

    @property
    def has_root_key(self) -> bool:
        """Whether this process could issue a leaf."""
        return self._box.has(ROOT_FILE)

    def _living_leaf(self, meant: bytes | None = None) -> SigningCertificate:
        leaf = self._leaf.get()
        if meant is not None and meant != leaf.chain:
            leaf = self._leaf.again()  # another process has noticed a renewal before this one
        if self._keeper is not None:
            self._keeper.look(leaf.life)
        if leaf.life.is_over(self._clock()):
            leaf = self._leaf.again()  # another process may have been in time
            if leaf.life.is_over(self._clock()):
                raise SigningCertificateExpired(
                    f"the leaf that manifests are signed under ended on {leaf.life.last_day}; if it is not renewed "
                    "within a minute, the log says why: put the root's key back and run "
                    "`vouch key rotate --purpose manifest`"
                )
        return leaf

    def trust_anchor(self) -> bytes:
        return self._leaf.get().root.public_bytes(serialization.Encoding.PEM)

    def new_leaf(self, now: datetime) -> tuple[bytes, str]:
        """The file of a new leaf under the same root, and the leaf's id. Raises VaultError where the root's key is
        not here."""
        content = self._new_leaf(read_root(self._box, self.leaf_afresh()), now)
        return content, leaf_id(chain_of(content))

    def write_leaf(self, content: bytes) -> None:
        """Raises what the box raises where this process may only read."""
        self._box.write(MANIFEST_FILE, content)

    def leaf_file(self) -> bytes:
        return self._box.read(MANIFEST_FILE)

    def _new_leaf(self, root: Root, now: datetime) -> bytes:
        return issue_leaf(self._box, root, now)

    def _remote_manifest_key(self, name: str) -> DerSign:
        raise VaultError("the manifest key lies in a KMS; configure it, as it was when the key was made")

    # watermarks -----------------------------------------------------------------------------------------------
    def watermark_key(self, epoch: int) -> bytes:
        # A secret gives every epoch from its first on a key, so that a closed epoch's is never lost.
        marks = self._marks.get()
        begun = [(key.from_epoch, kid) for kid, key in marks.ring.keys.items() if key.from_epoch <= epoch]
        secret = marks.secrets[max(begun)[1]]
        return hmac.digest(secret, b"vouch.watermark.v1\0%d" % epoch, "sha256")

    # rotation: the caller holds the lock that lets one process at a time change rings ---------------------------
    def ring(self, ring: Ring) -> KeyRing:
        """As it is now, read afresh."""
        return KeyRing.from_bytes(self._box.read(ring.file))

    def has_ring(self, ring: Ring) -> bool:
        return self._box.has(ring.file)

    def write_ring(self, ring: Ring, content: KeyRing) -> None:
        self._box.write(ring.file, content.to_bytes())

    def new_key(self, ring: Ring, *, from_epoch: int = 1) -> tuple[str, RingKey]:
        """A fresh key, with its id, in the form in which a ring keeps it."""
        return new_key(self._box, ring, from_epoch=from_epoch)

    def _watch_signers(self, ring: Ring) -> Watched[Signers]:
        return Watched(self._box, ring.file, lambda raw: open_signers(self._box, ring, raw))

    def _watch_secrets(self, ring: Ring) -> Watched[Secrets]:
        return Watched(self._box, ring.file, lambda raw: open_secrets(self._box, ring, raw))

    # wrapping: where the providers differ ---------------------------------------------------------------------
    @abstractmethod
    def wrap_key(self, data_key: bytes, aad: bytes) -> bytes:
        """As `KeyProvider.wrap_key`."""

    @abstractmethod
    def unwrap_key(self, wrapped: bytes, aad: bytes) -> bytes:
        """As `KeyProvider.unwrap_key`."""

    def rewrap_key(self, wrapped: bytes, aad: bytes) -> bytes:
        """The same data key under the current key-encryption key."""
        return self.wrap_key(self.unwrap_key(wrapped, aad), aad)

    def wrapped_under(self, wrapped: bytes) -> str:
        """The id of the key-encryption key. Every provider's wrapped keys begin with it."""
        return wrapped[:KID_BYTES].hex()
