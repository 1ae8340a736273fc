"""From luminosities to distances and parallaxes: pure functions of arrays.

    stars.py         what is known of N stars besides their spectra, and what of it is a measurement
    distance.py      luminosity, Ks, E(B-V) -> parsecs
    full_errors.py   the errors of Ks and E(B-V) beside that of the network; percentiles of the distance
    zero_point.py    the zero-point of Gaia parallaxes
    parallaxes.py    the parallax that the spectrum tells, that of Gaia, and both together
    results.py       all of it: the columns and flags of N results

No function warns of anything, whatever the numbers are: what cannot be computed is NaN.
"""
