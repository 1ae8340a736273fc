"""What the operating system does for us, apart from any database or spectrum.

atomic.py       a file that is written completely or not at all
locking.py      a file that one process at a time has locked
extras.py       packages that only some commands need
processes.py    processes: their share of the cores, their memory, their end, their messages
side_by_side.py  a function applied to many things in several processes, in their order
control_groups.py  what a container or a job may use of the machine: time of the cores, memory
printable.py    text of others, whose every character can be seen
signals.py      signals that end a process, their answer at once, and what they ask for
streams.py      standard streams that may be full or closed
pace.py         how fast something goes, and the time left
telling.py      how far work is, told to whoever listens
compiled.py     functions compiled by numba, kept for the next process
arguments.py    the arguments of a command as one frozen dataclass
plugins.py      the entry points by which packages offer tasks
nested.py       collections within collections
version.py      the version of Astra
"""
