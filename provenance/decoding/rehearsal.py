"""One look at a file of our own making, before the first stranger's: whatever is loaded on first use is loaded now.

Once `worker` has given up opening files, Python can import nothing more.
"""

from __future__ import annotations

import io
import wave
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provenance.audio import Limits
from provenance.decoding.look import read_facts
from provenance.decoding.pcm import decode_blocks
from provenance.trust import TrustContext


def rehearse() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    root, leaf = _certificate("root", key), _certificate("leaf", key)
    trust = TrustContext(root.public_bytes(serialization.Encoding.PEM))
    if not trust.issued(leaf.public_bytes(serialization.Encoding.DER)):
        raise RuntimeError("certificates cannot be checked here")
    trust.context()
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 8_000, 0, "NONE", "NONE"))
        out.writeframes(bytes(1_600))
    read_facts(file.getvalue(), None, trust)
    for _ in decode_blocks(file.getvalue(), Limits()):
        pass


def _certificate(name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    now = datetime.now(UTC)
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, "root"))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
