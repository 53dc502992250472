"""Pure verification and what crosses between rooms, so that `provenance` may import it.

The only I/O: `log` reads the folder of an export.

    protocols                      what one room asks of another: KeyProvider, ClipRegister, ProofReader
    records                        the values that cross: ClipRecord, Standing, WatermarkTag
    receipt, vocabulary            consent receipts, and what their words mean
    certificate                    certificates of deletion
    bundle, standings              clips and consents as of a checkpoint, for a verifier without a ledger
    log, merkle, checkpoint        an exported log (RFC 6962, C2SP tlog-checkpoint)
    statement, canonical, trust    signed JSON (RFC 8785), and whose keys are trusted
"""
