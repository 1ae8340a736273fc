"""A run of a task on Slurm: one job array, each task of it an ``astra run``, watched until it ends.

What is where:

    srun.py      checks, submits, waits, counts what was done; one report for every ending
    array.py     what `astra srun` can be asked, and what is submitted: the command of sbatch, the script
    commands.py  sbatch, squeue, scancel, scontrol, sacct: calling them, reading what they say
    job.py       a submitted array: how its tasks are, how they are stopped, how they ended

Which spectra are done stands in the database, and the workers share them there; so nothing is handed to a
job but words, and submitting the same again goes on where the last one stopped.
"""
