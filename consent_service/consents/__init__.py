"""Consents: what a person agreed to.

records    recorded, narrowed, revoked
evidence   which approved statement a consent rests on
receipts   what a receipt says (ISO/IEC TS 27560); `proofs.receipt` signs and verifies it,
           `proofs.vocabulary` defines its words
"""
