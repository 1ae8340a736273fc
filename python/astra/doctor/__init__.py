"""Whether ``astra run`` can do its work here, and if not, what to do about it.

What is where:

    checkup.py     the order of the checks; each goes on where another has failed
    findings.py    what a check has found: ok, warn or fail
    known.py       what the checks so far have found out
    settings.py    the configuration
    installed.py   the package itself; the tasks, those of other packages among them
    database.py    the database, its schema, and what this login may do in it
    files.py       the files of the spectra, and free space
    computing.py   weights, device, compiled code, Slurm
    work.py        what workers have left behind
"""
