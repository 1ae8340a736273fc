"""Heliocentric distances from APOGEE spectra.

A Bayesian network predicts the Ks luminosity of a star from its rectified spectrum; the apparent
magnitude and the extinction turn it into a distance.

    rectify.py       counts on 8575 pixels -> rectified flux on 7514: re-exports astra.spectra.rectify
    weights/         files of weights, and which of them is in force
    network/         flux -> luminosity and its two errors, by Monte Carlo dropout
    distances/       luminosity, Ks, E(B-V), Gaia's parallax -> distances, parallaxes, flags
    estimating.py    all of that for some spectra, with a model in memory
    task.py          the task: files in, rows out
    direct.py        the same without a database: one star, or arrays of them
    inputs.py        what a caller of that passes, checked
    star_files.py    files in place of arrays: pixels, and what header, catalogue and caller say of their stars
    star_distance.py what it returns: one star, or a sequence of them
    star_text.py     the same in words, for a terminal and a notebook
"""

from astra.pipelines.astronn_dist.task import astronn_dist

__all__ = ["astronn_dist"]
