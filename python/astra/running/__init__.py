"""A run of a task, from the arguments of its caller to rows in the database.

What is where:

    arguments.py  what `astra run` can be asked
    request.py    what a run is asked to do, with its stars and times looked up in the database
    going_on.py   with what a run works: where nobody names weights, with those of the rows so far
    uses.py       the results in the database that weights have made
    star_list.py  the stars of `--stars-from FILE`
    runner.py     the run: checks, then rederives rows, then processes spectra
    ending.py     how it ends: signals, outcome, exit code, one line of error
    fill.py       fills columns of rows that are there, without measuring anything again
    runs.py       what is on record of it: report and row; the rule that weights do not mix
    workers.py    where chunks are processed: here, or in several local processes, any of which may die
    in_hand.py    the chunks that workers have, and how far they are with them
    counting.py   how much there is to do, counted beside the work
    supply.py     the chunks that a run hands out within its limits; whether the disk is lost or single files
    claims.py     which worker holds which spectra; what becomes of those of dead workers, and of poison
    others.py     waits for spectra that runs of other versions of Astra have in hand
    loop.py       what each worker does: one chunk after the other, written while the next is computed
    rows.py       chunks, counts, and each way in which rows of results are written
"""
