"""A run of a task on Slurm: one job array, each task of it an ``astra run``, watched until it ends.

    srun.py      checks, submits, waits, counts what was done; one report for every ending
    array.py     what `astra srun` can be asked, and what is submitted: the command of sbatch, the script
    commands.py  sbatch, squeue, scancel, scontrol, sacct: calling them, reading what they say
    job.py       a submitted array: the states of its tasks, how to stop them, the exit code of all

The database knows which spectra are done, and the workers share the others there. So a job gets a command
line and nothing else, and submitting the same command once more goes on where the last job stopped.
"""
