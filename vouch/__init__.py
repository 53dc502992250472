"""The command line and the demonstration. Imports every room; no room imports it."""

__version__ = "0.1.0"
