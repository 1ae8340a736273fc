"""What the operating system does for us, apart from any database or spectrum.

atomic.py       a file that is written whole or not at all
processes.py    child processes: their share of the cores, their end
compiled.py     functions compiled by numba, kept for the next process
arguments.py    the arguments of a command as one frozen dataclass
logs.py         where messages go
silence.py      libraries that are too loud
version.py      the version of Astra
"""
