"""Keys that change: rotation, rewrapping, superseded keys, the signing certificate."""
