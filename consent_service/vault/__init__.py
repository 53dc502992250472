"""Recordings at rest, sealed; and references sealed to one replica's key."""
