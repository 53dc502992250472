"""Decommissioning a voice: silence, erase, certify; retention and orphans."""
