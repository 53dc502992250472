"""The demonstration: the main job on one machine, end to end, with a stand-in for the person who lends a voice."""
