"""Uploads taken apart where they can do no harm: a process of its own, with little of everything and no way out.

Native parsers (FFmpeg, c2pa) see bytes that anyone may have made. They run in `worker`, which holds no key and no
secret, can open neither a file nor a socket, and ends when it has taken too much memory or time. What comes back
is plain data of a known size: samples and JSON. ADR 20 says why.
"""
