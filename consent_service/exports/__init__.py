"""What leaves the ledger for offline use: the log and the bundle."""
