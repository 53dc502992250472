"""The consent service on its own: `python -m consent_service.api serve --config FILE`.

For a platform that has its own synthesis and wants the consents, the gate and the audit log. Needs neither Ray nor
torch. `bootstrap` makes a tenant and its first key, on the machine that holds the ledger and the keys; everything after
that is HTTP. Nothing that a request holds is logged: no path, no query, no body.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn
import yaml
from pydantic import ValidationError

from consent_service.http.app import build_app
from consent_service.http.config import ApiConfig
from consent_service.http.config_errors import explain
from consent_service.service import ConsentService
from foundation.errors import CodedError

log = logging.getLogger("vouch.consent")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, 1 (refused or failed) or 2 (usage)."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        config = ApiConfig.load(asked.config)
        service = ConsentService.open(config.consent)
    except (OSError, ValueError, yaml.YAMLError, CodedError) as exc:
        return _fail(_told(exc))
    if asked.command == "bootstrap":
        return _bootstrap(service, asked.tenant)
    _serve(service, config)
    return 0


def _serve(service: ConsentService, config: ApiConfig) -> None:
    uvicorn.run(
        build_app(service, config),
        host=config.host,
        port=config.port,
        ssl_certfile=config.tls_certificate,
        ssl_keyfile=config.tls_key,
        proxy_headers=bool(config.trusted_proxies),
        forwarded_allow_ips=config.trusted_proxies or None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=30,
    )


def _bootstrap(service: ConsentService, tenant: str) -> int:
    try:
        sys.stdout.write(service.tenants.bootstrap(tenant) + "\n")
    except CodedError as exc:
        return _fail(_told(exc))
    finally:
        service.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m consent_service.api", description="The consent service.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="answer HTTP requests until stopped")
    bootstrap = commands.add_parser("bootstrap", help="make a tenant; print its first key, this once")
    bootstrap.add_argument("tenant", help="1-63 characters of a-z, 0-9 and -")
    for command in (serve, bootstrap):
        command.add_argument("--config", type=Path, required=True, help="YAML; see docs/consent/access.md")
    return parser


def _told(exc: Exception) -> str:
    """What is wrong and where, but not what was written there: it may be a password."""
    if isinstance(exc, CodedError):
        return f"{exc.message} [{exc.code}]"
    if isinstance(exc, ValidationError):
        return explain(exc, ApiConfig)
    if isinstance(exc, OSError):
        return f"the configuration can't be read: {exc.strerror}"
    return "the configuration is not YAML in UTF-8"


def _fail(message: str) -> int:
    sys.stderr.write(f"consent service: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
