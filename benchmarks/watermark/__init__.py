"""The watermarks on trial: `python -m benchmarks.watermark.matrix` measures them, `….train` makes the scorer anew."""
