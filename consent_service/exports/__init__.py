"""What leaves the ledger signed, for offline use.

log      the audit log with its proofs
service  log, standings and clips as one file, the bundle. `proofs` verifies both
"""
