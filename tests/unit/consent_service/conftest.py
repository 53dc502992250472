"""S3 and a KMS, for the tests that ask for them."""

from tests.assets.aws import aws, aws_server, kms  # noqa: F401 - fixtures
