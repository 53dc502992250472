"""Pure verification and the seams between rooms; no I/O here, so `provenance` may import it.

`seams` holds the protocols and the records that more than one room handles; the other modules verify
receipts, checkpoints and Merkle proofs (RFC 6962, RFC 8785, C2SP tlog-checkpoint).
"""
