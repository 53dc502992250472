"""The version of the product, as it goes into manifests and the OpenAPI document."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("vouch")
except PackageNotFoundError:  # run from a source tree that was never installed
    VERSION = "0+source"
