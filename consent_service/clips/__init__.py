"""The register of clips: which clip, under which consent, where its copies lie, and whether it still stands.

register     rows, standing, release
stores       where the doors keep clips
service      every operation, and when a file was handed over, by the log
data_keys    the keys of stored clips, wrapped under one key of the tenant
watermarks   tags, allotted in sequence
"""
