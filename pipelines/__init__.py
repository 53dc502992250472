"""The offline door: bulk narration with Ray Data, one row out for each row in.

consent → synthesize → stamp, per row, with a status column instead of an exception.

    narrate            runs a script
    stages             what happens to a row
    row_synthesizer    from a row that may be spoken to its result, in one process
    rows, schema       what a row holds
    journal            which rows are finished, and which a next run does again
    actors, flow       the processes; `actor_checkpoint` what a lost engine's actor leaves to the next
    prepare, check     make a script and look at one
    job                submits to a cluster
"""
