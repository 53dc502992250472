"""May this voice be used, by whom, for what, until when?

The ledger of voices and consents, the vault of reference recordings, the gate's decision, the grants that
carry it to an engine, and the audit log. This package imports neither torch nor Ray and knows nothing of
synthesis.

Two of its modules are windows for the rooms beside it, and are pure (no I/O): `consent_service.grants` (for
`speech`) and `consent_service.proofs` (for `provenance`).
"""
