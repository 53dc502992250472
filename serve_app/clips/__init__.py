"""Clips at the online door: made, cached, streamed, kept, handed over."""
