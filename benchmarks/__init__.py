"""What is measured rarely and by hand, from a clone of the repository; `vouch bench` measures the rest."""
