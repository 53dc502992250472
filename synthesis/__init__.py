"""A clip under a grant: what both doors do with a grant, written once. No Ray, no HTTP, no database.

`voice` parses and formats which voice is meant · `request` makes the gate's claim and, from a grant that was used up,
the engine's request · `replica` is the identity of a process that holds an engine · `disclosure` says what a clip says
of itself and what the register holds of it · `outcome` says how a synthesis that did not succeed is closed. A door
adds what carries a clip: queues and HTTP, or rows and files. See docs/adr/0028-one-room-for-a-clip-under-a-grant.md.
"""
