"""Consent records, their evidence and their receipts."""
