"""A run of a task, from the words of its caller to rows in the database.

What is where:

    arguments.py  what `astra run` can be asked
    request.py    what a run is asked to do, with its stars and times looked up in the database
    runner.py     the run: checks, then derives again, then processes; one report for every ending
    ending.py     how it ends: signals, outcome, exit code, one line of error
    workers.py    where chunks are processed: here, or in several local processes
    supply.py     what a run hands out to its workers, within its limits
    claims.py     who has which spectra in hand
    reaping.py    dead workers, their orphans, and spectra that are poison
    loop.py       what each worker does: one chunk after the other, written while the next is computed
    rows.py       each way in which rows of results are written, in one transaction
    chunk.py      a chunk of spectra, and what became of it
    runs.py       the record of every run, and the rule that weights do not mix
    disk.py       tells a lost disk from bad files
"""
