"""What is asked of an engine beside its speed: `python -m benchmarks.engine load|profile|calibrate`."""
