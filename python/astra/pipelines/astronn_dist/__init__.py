"""Heliocentric distances from APOGEE spectra.

A Bayesian network predicts the Ks luminosity of a star from its rectified spectrum; the apparent
magnitude and the extinction turn it into a distance.

    rectify.py       counts on 8575 pixels -> rectified flux on 7514: re-exports astra.spectra.rectify
    weights/         files of weights, and which of them is in force
    network/         flux -> luminosity and its two errors, by Monte Carlo dropout
    distances/       luminosity, Ks, E(B-V), Gaia's parallax -> distances, parallaxes, flags
    estimating.py    all of that for some spectra, with a model in memory
    task.py          the task: files in, rows out
"""

from astra.pipelines.astronn_dist.task import astronn_dist

__all__ = ["astronn_dist"]
