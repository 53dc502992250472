"""The gate: decide, redeem, register replicas, follow revocations."""
