"""The consent gate as a deployment: the one part of the online door that opens ledger, vault and keys.

consent_gate   what it answers to ingress and replicas; every decision is `consent_service.gate`'s
consent_api    what callers administer: the `ConsentApi` behind the handle, and which calls are waited for until done
protocol       which calls there are; each is waited for `gate.timeout_s`, unless `handles.time_limit` says longer
client         the gate as synchronous code sees it
clip_keys      keys of stored clips
uploads        recordings on their way to the vault, sealed
"""
