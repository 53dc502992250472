"""What leaves the ledger signed, for offline use.

log      the audit log with its proofs
bundle   log, standings and clips as one file. `proofs` verifies both
"""
