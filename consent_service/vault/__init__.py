"""Recordings at rest, and references on their way.

vault     AES-256-GCM under one data key for each voice, which `destroy` ends
sealing   HPKE to one replica's key
"""
