"""The offline door: bulk narration with Ray Data, one row out for each row in.

consent → synthesize → stamp, per row, with a status column instead of an exception.
"""
