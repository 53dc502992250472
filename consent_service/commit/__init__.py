"""Group commit: concurrent operations on grants share one transaction of a tenant's log (ADR 5).

group_commit   who leads and who waits
batch          what the operations read and write together
"""
