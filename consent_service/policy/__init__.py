"""The rules alone: may this claim be allowed under this consent? Pure functions, no I/O."""
