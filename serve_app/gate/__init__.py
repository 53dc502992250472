"""The consent gate behind a handle, and its client."""
