"""Trials: results of a task beside production, made, compared with it, promoted to it, and dropped.

making.py      a new trial, and what a run into one needs; dropping one
other_ebv.py   trials that take E(B-V) from another column or table
guarding.py    no worker lives while places are swapped, or a trial is dropped
promotion.py   the results of a trial and those of production swap places, and swap back
overview.py    what `astra trials list` shows
"""
