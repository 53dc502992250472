"""Voices: how they come in.

enrolment    challenge and two recordings
statements   a further statement for another grantee or purpose
challenges   their rows
review       the second person's decision
designed     a voice with nobody behind it, kept from a clip of ours
records      looking voices up
"""
