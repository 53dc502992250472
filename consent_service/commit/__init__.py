"""Group commit: operations on grants that queue for one transaction of a tenant's log."""
