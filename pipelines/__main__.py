"""`python -m pipelines --config URI`: what a Ray job runs. People use `vouch narrate`."""

from pipelines.job import run_here

raise SystemExit(run_here())
