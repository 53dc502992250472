"""Audio → marked audio, and back: whose is this clip?

Everything that leaves says in a form machines read that it is synthetic: a C2PA manifest and a watermark. The
way back gives three separate answers: origin, integrity and standing. No Ray, no HTTP, no database; what is
needed of the ledger comes through `consent_service.proofs`.
"""
