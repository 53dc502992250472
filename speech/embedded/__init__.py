"""The embedded engine: eSpeak NG on a CPU, ten languages, no download. It imitates no one and says so.

eSpeak NG is GPL-3 and runs as a separate program (`worker`), reached through pipes; production images leave
the `embedded` extra out.
"""
