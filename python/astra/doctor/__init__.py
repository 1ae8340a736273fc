"""Checks the set-up that ``astra run`` needs, and says what to do about what is missing.

findings.py       what the checks find: ok, warn or fail; the context they share
installation.py   the package, its settings, the tasks; weights, device, compiled code, Slurm
database.py       the connection, the schema, rights, and what runs have left behind
disks.py          the files of the spectra, and free space
checkup.py        the order of the checks, and what each needs; one that fails stops no other
"""
