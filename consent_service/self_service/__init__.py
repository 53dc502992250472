"""What the person whose voice it is sees and does: their voices, consents and uses; withdrawal; deletion.

service   sign-in, and every operation on what is theirs and nobody else's
"""
