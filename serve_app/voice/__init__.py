"""A voice replica: it redeems a grant, speaks, and marks what it spoke.

protocol   which calls there are
worker     from a grant to marked samples
watch      what it knows of revocations; old knowledge releases no audio
"""
