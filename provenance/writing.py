"""Signs manifests, embedded or detached, and reads back what it signed.

The signer is handed the bytes to be signed, with the chain that it told, and nothing else; the private key never
enters. What comes back from c2pa is trusted by nobody until it was read again: c2pa does not check the asset's
hash after signing.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from typing import Any, Final

import c2pa

from consent_service.proofs.protocols import ManifestSigner
from provenance import container
from provenance.disclosure import Disclosure
from provenance.errors import StampFailed
from provenance.ingredients import Parent, attach, derived
from provenance.manifest import assertion, definition
from provenance.reading import OPAQUE, read_manifest
from provenance.signing import LeafChanged, LeafSigner, SigningLeaf
from provenance.trust import TrustContext

_CERTIFICATE_END: Final = b"-----END CERTIFICATE-----"


class ManifestWriter:
    """Thread-safe. signer: its chain's last certificate is the root that the re-reading trusts."""

    def __init__(self, signer: ManifestSigner) -> None:
        self._signer = signer
        self.leaves = LeafSigner(signer)
        self._lock = threading.Lock()
        self._trust: TrustContext | None = None

    def trust(self) -> TrustContext:
        """The root under which is signed at this moment."""
        return self._trust_in(self._signer.certificate_chain())

    def embed(
        self,
        data: bytes,
        media_type: str,
        disclosure: Disclosure,
        parents: Sequence[Parent] = (),
        *,
        presence: bool = True,
    ) -> bytes:
        """The same file with its manifest inside. parents: what it was made from. Raises StampFailed."""
        said = definition(disclosure, media_type, presence=presence)
        signed, _, trust = self._signed(data, media_type, said, parents, detached=False)
        _check(signed, None, media_type, disclosure, trust)
        return signed

    def detach(
        self,
        data: bytes,
        media_type: str,
        disclosure: Disclosure,
        *,
        presence: bool = True,
        parents: Sequence[Parent] = (),
    ) -> bytes:
        """A manifest over exactly these bytes, to be kept beside them. Raises StampFailed."""
        said = definition(disclosure, media_type, presence=presence)
        _, sidecar, trust = self._signed(data, OPAQUE, said, parents, detached=True)
        _check(data, sidecar, media_type, disclosure, trust)
        return sidecar

    def _trust_in(self, chain: bytes) -> TrustContext:
        root = chain.rstrip().removesuffix(_CERTIFICATE_END).rpartition(_CERTIFICATE_END)[2].strip()
        anchor = root + b"\n" + _CERTIFICATE_END + b"\n"
        with self._lock:
            if self._trust is None or self._trust.anchor != anchor:
                self._trust = TrustContext(anchor)
            return self._trust

    def _signed(
        self, data: bytes, form: str, said: dict[str, Any], parents: Sequence[Parent], *, detached: bool
    ) -> tuple[bytes, bytes, TrustContext]:
        """(the file, the manifest store, what trusts it)."""
        if parents:
            said = derived(said, parents)
        return self.leaves.under_one_leaf(
            lambda leaf: self._under(leaf, data, form, said, parents, detached=detached)
        )

    def _under(
        self,
        leaf: SigningLeaf,
        data: bytes,
        form: str,
        said: dict[str, Any],
        parents: Sequence[Parent],
        *,
        detached: bool,
    ) -> tuple[bytes, bytes, TrustContext]:
        failed: list[Exception] = []

        def sign(message: bytes) -> bytes:
            # c2pa logs what a callback raises and goes on; keep it here and give back "no signature" instead.
            try:
                return leaf.sign(message)
            except Exception as exc:  # noqa: BLE001 - re-raised below
                failed.append(exc)
                return b""

        out, trust, chain = io.BytesIO(), self._trust_in(leaf.chain), leaf.chain.decode("ascii")
        try:
            with (
                c2pa.Signer.from_callback(sign, c2pa.C2paSigningAlg.ES256, chain) as signer,
                c2pa.Builder(said, context=trust.context()) as builder,
            ):
                attach(builder, parents)
                if detached:
                    builder.set_no_embed()
                store = builder.sign(signer, form, io.BytesIO(data), out)
        except c2pa.C2paError as exc:
            cause = failed[0] if failed else exc
            if isinstance(cause, LeafChanged):
                raise cause from None
            raise StampFailed(f"the manifest could not be signed ({type(cause).__name__})") from cause
        return out.getvalue(), bytes(store), trust


def _check(
    data: bytes, sidecar: bytes | None, media_type: str, disclosure: Disclosure, trust: TrustContext
) -> None:
    """Trusted, whole, saying what it should, and with no byte that nothing covers."""
    reading = read_manifest(data, trust, media_type=media_type, sidecar=sidecar)
    if reading is None:
        raise StampFailed("the signed clip carries no manifest that can be read")
    if reading.state != "Trusted" or reading.failures or not reading.asset_matches:
        raise StampFailed(f"the signed clip does not verify ({', '.join(reading.failures) or reading.state})")
    if reading.assertion != assertion(disclosure):
        raise StampFailed("the signed clip does not say what it should")
    found = container.fault(data, sidecar)
    if found is not None:
        raise StampFailed(f"the signed clip has bytes that nothing covers ({found})")
