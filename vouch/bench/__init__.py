"""Measurements: what a room costs on this machine, beside the peer that it is measured against."""
