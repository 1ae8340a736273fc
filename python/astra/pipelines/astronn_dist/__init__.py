"""Heliocentric distances from APOGEE spectra.

A Bayesian network predicts the Ks luminosity of a star from its rectified spectrum; the apparent
magnitude and the extinction turn it into a distance.

    rectify.py    counts on 8575 pixels -> continuum-normalised flux on 7514
    finding.py    which weights are in force, and why
    weights.py    files of weights -> arrays, with name and checksum
    network.py    flux -> luminosity and its log-variance
    sampling.py   Monte Carlo dropout: luminosity and its two errors
    dropout.py    the random bits of dropout, the same on every machine
    on_cpu.py     the network where there is no GPU; kernels.py: its convolutions, compiled
    on_torch.py   the network on a GPU, and in readable form
    validity.py   how unlike the training's a spectrum is, and what that adds to its error
    distances/    luminosity, Ks, E(B-V), Gaia's parallax -> distances, parallaxes, flags
    estimating.py all of that for some spectra, with a model in memory
    task.py       the task: files in, rows out
    direct/       the same without a database: one star, or arrays of them
"""

from astra.pipelines.astronn_dist.task import astronn_dist

__all__ = ["astronn_dist"]
