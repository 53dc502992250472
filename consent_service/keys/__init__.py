"""Key providers: who wraps data keys and signs grants, checkpoints, receipts and manifests.

provider, kms              keys in files; keys in AWS KMS, imported where it is configured
ring, rings                the keys of one purpose: the current one, and the old ones that still verify
box, opened                where rings lie, and how a process notices that one was rotated
manifest, certificates     the root and the signing certificate of manifests
lifetime, keeper           when the signing certificate is due, and who renews it
creation                   new keys
"""

from consent_service.keys.provider import FileKeyProvider

__all__ = ["FileKeyProvider"]
