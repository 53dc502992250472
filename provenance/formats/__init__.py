"""What a clip is handed over as: formats, how they are encoded, and the one shape that a file of ours has in each.

A format says by itself whether it can carry the manifest and the label inside; nothing here decides whether a clip
is marked. That is the stamper's, and it has no choice.
"""
