"""S3 and a KMS, for the implementations that keep things there."""

from tests.assets.aws import aws, aws_server, kms  # noqa: F401 - fixtures
