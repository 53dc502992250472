"""What can be told of a person's recordings before a reviewer hears them.

Four questions: is the sound fit, is it one speaker, was today's sentence spoken, and is it marked as synthetic? The
models that answer run in processes of their own (`worker`, and for marks the command that the configuration names):
recordings go to them over a pipe, scores come back, and no embedding ever does. What can't be asked is never taken
for "yes".
"""
