"""A voice replica: redeem a grant, speak, follow revocations."""
