"""What is measured rarely and by hand; `vouch bench` measures the rest."""
