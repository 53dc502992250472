"""May this voice be used, by whom, for what, until when?

One package for each domain, each with a service that `service.ConsentService` opens (`service.gate`,
`service.voices`, …):

    voices       how a voice comes in: enrolment, statements, review, designed voices
    consents     what a person agreed to: records, evidence, receipts
    policy       the pure rules: decide, purposes, terms, narrowing, languages, rate limits
    gate         decisions, grants that are redeemed and closed, replicas, the revocation feed
    clips        the register of clips: standing, stores, data keys, watermark tags
    deletion     the end of a voice: steps, certificate, retention, orphans
    subjects     how the person is reached: contacts, single-use links, the text of each mail
    self_service what the person sees and does
    tenants      tenants and their API keys; `access` has the roles
    rotation     keys that change: rotate, retire, rewrap, superseded keys, the signing certificate
    exports      what leaves for offline use: log, bundle, standings
    examination  the programs that examine recordings, and the challenge that a person reads
    ledger       tables, migrations, transactions, and the writer of the audit log
    commit       one transaction of a tenant's log for many concurrent callers
    keys         key providers: files or AWS KMS; rings, and which keys still verify after a rotation
    vault        sealed recordings, and references sealed to a replica
    objects      small objects in files or S3, deleted with every version
    http         the service over HTTP; `api` is its program
    config       settings, among them how long a grant may wait (`grant_start_within_s`)

Two modules are windows for the rooms beside it, and are pure (no I/O): `grants` (for `speech`) and `proofs`
(for `provenance`). The package imports neither torch nor Ray, and knows nothing of synthesis. `errors` holds
its error root.
"""
