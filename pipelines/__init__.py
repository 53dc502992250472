"""The offline door: bulk narration with Ray Data, one row out for each row in.

consent → synthesize → stamp, per row, with a status column instead of an exception.

    narrate          runs a script
    stages           what happens to a row
    rows, schema     what a row holds
    journal          which rows are finished, and which a next run does again
    actors, flow     the processes
    prepare, check   make a script and look at one
    job              submits to a cluster
"""
