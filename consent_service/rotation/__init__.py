"""Keys that change.

    rotate                a new current key, in resumable steps; retiring old ones
    rewrap                data keys under a new key-encryption key
    superseded            until where in each log a replaced key counts
    signing_certificate   the certificate of manifests, renewed by the processes that sign

Which old keys still verify is the ring's to say: `keys.ring`.
"""
