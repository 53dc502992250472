"""Key providers: who wraps data keys and signs grants, checkpoints, receipts and manifests."""

from consent_service.keys.provider import FileKeyProvider

__all__ = ["FileKeyProvider"]
