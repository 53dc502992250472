"""The register of clips: digests, stores, closings, data keys, watermark keys."""
