"""The keyed watermark: a spread-spectrum pattern that only the holder of a key can read, carrying a 24-bit tag.

`pattern` says which cell of the spectrogram goes up and which goes down; `embed` applies it, chunk by chunk or to a
whole clip; `score` judges a recording's spectrogram bin by bin; `detect` finds the pattern in that judgement again,
after a change of speed, tempo or pitch of up to 5 %. A tag that is read names a *candidate*: a periodic pattern can be
averaged out of many clips and put on real speech, so origin needs more than it.
"""
