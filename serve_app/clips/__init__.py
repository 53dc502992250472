"""The way of one clip: decide, look into the cache, synthesize, mark, hand over.

service      the way itself, and which refusals are tried again with a new grant
cache        the cache key, and one run for identical requests
store        stamped clips at rest, encrypted
publisher    stored, registered, closed in the log, then published
stream       a clip that is heard while it is made
renditions   a stored clip in another format
"""
