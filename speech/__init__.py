"""Text → audio. Engines behind one protocol; no Ray, no HTTP, no database.

Of consent this room knows only what a verified grant says (`consent_service.grants`): a clone request cannot
be built without one. It must never write a reference recording, a voice prompt or a text anywhere.
"""
