"""S3 and KMS over HTTP, on this machine: one server for the session, buckets and keys of each test's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.loaders
import pytest
from botocore.session import Session
from moto.server import ThreadedMotoServer

from consent_service.keys.settings import KmsConfig

SECRET = "marked-aws-secret-cobalt-lantern"
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Aws:
    """Where the server listens. The environment names it, as it would name a real one."""

    url: str

    def client(self, service: str) -> Any:
        """An administrator's, for arranging and for looking afterwards."""
        return Session().create_client(service, region_name="eu-central-1", endpoint_url=self.url)

    def bucket(self, *, versioned: bool) -> str:
        name = f"vouch-test-{next(_NUMBERS)}"
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def copies(self, bucket: str) -> list[str]:
        """Everything that a bucket holds: versions, deletion markers, unfinished uploads."""
        s3 = self.client("s3")
        page = s3.list_object_versions(Bucket=bucket)
        entries = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        return [e["Key"] for e in [*entries, *s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]]


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        # Most of the time that a client costs goes into botocore's own JSON: read once, not for each.
        patch.setattr(botocore.loaders, "create_loader", cache(botocore.loaders.create_loader))
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> Aws:
    for name, value in {
        "AWS_ENDPOINT_URL": aws_server,
        "AWS_ACCESS_KEY_ID": "AKIATESTER",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return Aws(aws_server)


@dataclass(frozen=True)
class Kms:
    """Two sets of keys in the KMS: for wrapping, and for manifests."""

    aws: Aws
    kek: str
    manifest: str

    def config(self, **changes: Any) -> KmsConfig:
        usual = KmsConfig(
            region="eu-central-1", endpoint_url=self.aws.url, kek=self.kek, refresh_s=0.0, attempts=1
        )
        return usual.model_copy(update=changes)

    def new_kek(self) -> str:
        return str(self.aws.client("kms").create_key(KeySpec="SYMMETRIC_DEFAULT")["KeyMetadata"]["KeyId"])

    def alias(self, key: str) -> str:
        name = f"alias/vouch-{next(_NUMBERS)}"
        self.aws.client("kms").create_alias(AliasName=name, TargetKeyId=key)
        return name


@pytest.fixture
def kms(aws: Aws) -> Kms:
    client = aws.client("kms")
    kek = client.create_key(KeySpec="SYMMETRIC_DEFAULT")["KeyMetadata"]["KeyId"]
    signer = client.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    return Kms(aws, kek, signer)
