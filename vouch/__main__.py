"""`python -m vouch`: the same as `vouch`."""

from __future__ import annotations

from vouch.cli import main

main()
