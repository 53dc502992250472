"""Whom we trust: our own C2PA root and nobody else, and no network.

A c2pa `Context` holds native state: it dies with a fork and cannot be pickled. `TrustContext` therefore makes
one per process, on first use.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Final

import c2pa
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from provenance.errors import ProvenanceError
from provenance.manifest import ACTIONS, DISCLOSURE_LABEL, SOFT_BINDING


def _settings(anchor: bytes) -> dict[str, Any]:
    return {
        "verify": {
            "verify_trust": True,
            # A clip may name any address for its manifest; following it would be a request forged by an
            # upload.
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
        },
        "core": {"allowed_network_hosts": []},
        "trust": {"trust_anchors": anchor.decode("ascii")},
        # Assertions are "gathered" (not vouched for by the signer) unless named here, without version.
        "builder": {
            "created_assertion_labels": [ACTIONS, DISCLOSURE_LABEL, SOFT_BINDING],
            "thumbnail": {"enabled": False},
        },
    }


class TrustContext:
    """Our root certificate (PEM) and the c2pa context that trusts it alone. Thread-safe, picklable."""

    def __init__(self, anchor: bytes) -> None:
        try:
            self._roots: Final = x509.load_pem_x509_certificates(anchor)
        except ValueError as exc:
            raise ProvenanceError("the trust anchor is not a PEM certificate") from exc
        self.anchor: Final = anchor
        self._lock = threading.Lock()
        self._context: c2pa.Context | None = None
        self._pid = 0

    def __reduce__(self) -> tuple[type[TrustContext], tuple[bytes]]:
        return (TrustContext, (self.anchor,))

    def context(self) -> c2pa.Context:
        """This process's c2pa context."""
        with self._lock:
            if self._context is None or self._pid != os.getpid():
                self._context = c2pa.Context.from_dict(_settings(self.anchor))
                self._pid = os.getpid()
            return self._context

    def issued(self, certificate_der: bytes) -> bool:
        """Whether our root signed this certificate, whatever its dates say."""
        try:
            certificate = x509.load_der_x509_certificate(certificate_der)
            if certificate in self._roots:
                return False
            return any(_issued_by(certificate, root) for root in self._roots)
        except (ValueError, TypeError, x509.InvalidVersion):
            return False


def _issued_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
