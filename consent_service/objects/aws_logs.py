"""Keeps the bodies of requests and answers out of logs: at level DEBUG the AWS libraries write down what they send and
receive, and an answer of KMS holds a data key in the clear. Whoever debugs sees everything else of them."""

from __future__ import annotations

import logging
from typing import Final

_TELLS_BODIES: Final = ("botocore.endpoint", "botocore.parsers", "s3fs")


def keep_bodies_out() -> None:
    """Safe to repeat. No level that somebody sets lets them through again."""
    for name in _TELLS_BODIES:
        logging.getLogger(name).addFilter(_no_details)


def _no_details(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.INFO
