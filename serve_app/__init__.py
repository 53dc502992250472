"""The online door: Ray Serve with a CPU ingress, a consent gate and voice replicas.

Plain classes hold the logic; Ray's decorators live in `serve_app.app` alone.
"""
