"""Pure verification and the seams between rooms, so that `provenance` may import it.

The only I/O: `log` reads the folder of an export.

`seams` holds the protocols and the records that more than one room handles; the other modules verify
receipts, checkpoints and Merkle proofs (RFC 6962, RFC 8785, C2SP tlog-checkpoint).
"""
