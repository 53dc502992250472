"""The end of a voice, in resumable steps that nobody can undo.

decommission   the steps and their order
silence        nothing speaks any more
clips          copies deleted, tombstones left
erase          names, contacts and salts; scrubs the database
certify        what the certificate of deletion says (`proofs.certificate` verifies it)
service        every operation; what would be destroyed; until when a voice is kept
orphans        sealed objects that no voice needs
"""
