"""The gate: it decides, redeems grants, and tells what was revoked.

facts                   what the ledger knows of a request, in one query
authorize               decides with `policy.decide`, signs the grant and sets its times; also the gate's
                        part of a clip's cache key
redeem                  uses a grant up, under every grant key that still verifies after a rotation
operations              the checks and writes of redeeming and closing
replicas                who may get a reference, and the grant keys that a replica learns
revocations, follower   the feed, and one reader of it for a process
abandoned               grants that nobody closed
platform                the same for parts that call over a network with API keys
"""
