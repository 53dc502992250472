"""What every room stands on, written once: six small modules that know no room and decide nothing.

A module comes here when three rooms need the same thing, not before. It holds no word of the product: what a consent,
a clip or a row is stays in the room that owns it (ADR 27).
"""
