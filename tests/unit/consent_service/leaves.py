"""Leaves of a given age, for tests of what happens when one grows old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from consent_service.keys.certificates import Root
from consent_service.keys.manifest import ROOT_FILE, issue_leaf, seal_root
from consent_service.keys.rings import RingProvider
from consent_service.service import ConsentService
from tests.assets.installation import DAY

YEAR = 365 * DAY


def ring_keys(service: ConsentService) -> RingProvider:
    assert isinstance(service.keys, RingProvider)
    return service.keys


def age(service: ConsentService, years: float) -> bytes:
    """Put a leaf of this age in the place of the current one; returns its chain."""
    keys = ring_keys(service)
    born = datetime.fromtimestamp(service._core.clock() - years * YEAR, UTC)
    keys.write_leaf(keys.new_leaf(born)[0])
    return keys.leaf_afresh().chain


def age_root(service: ConsentService, years: float, leaf_years: float) -> bytes:
    """The same with a root of that age."""
    keys, now = ring_keys(service), datetime.fromtimestamp(service._core.clock(), UTC)
    root = Root.create("Testers", now - timedelta(days=365 * years))
    keys.box.write(ROOT_FILE, seal_root(keys.box, root))
    keys.write_leaf(issue_leaf(keys.box, root, now - timedelta(days=365 * leaf_years)))
    return keys.leaf_afresh().chain


def settled(service: ConsentService) -> bytes:
    """Ask for the chain, let what that began end, and ask again."""
    service.keys.certificate_chain()
    service._renewer.wait(30)
    return service.keys.certificate_chain()
