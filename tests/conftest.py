"""What holds for every test: no network, no telemetry, and a Ray that does not crowd out a small machine."""

from __future__ import annotations

import os

# Set before anything imports the libraries that read them, and inherited by every process a test starts.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")
