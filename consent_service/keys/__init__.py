"""Key providers: who wraps data keys and signs grants, checkpoints, receipts and manifests.

The KMS's provider is imported where it is configured: `consent_service.keys.kms`.
"""

from consent_service.keys.provider import FileKeyProvider

__all__ = ["FileKeyProvider"]
