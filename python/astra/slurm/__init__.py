"""A run of a task on Slurm: one job array, each task of it an ``astra run``, watched until it ends.

What is where:

    srun.py       all of it: checks, submits, waits, and one report for every ending
    arguments.py  what `astra srun` can be asked: command line and profiles -> the options in force
    array.py      what is submitted: the command of sbatch, and the script that each task runs
    commands.py   sbatch, squeue, scancel, scontrol, sacct: calling them, reading what they say
    job.py        a submitted array: how its tasks are, how they ended, how they are stopped
    outcome.py    the ends of the tasks -> one exit code, one sentence
    progress.py   what the tasks have done so far, counted in the database

Which spectra are done stands in the database, and the workers share them there; so nothing is handed to a
job but words, and submitting the same again goes on where the last one stopped.
"""
