"""From luminosities to distances and parallaxes: pure functions of arrays.

    distance.py      photometry and astrometry of N stars; -> parsecs; the limit of unreliable
    full_errors.py   the errors of Ks and E(B-V) beside that of the network; percentiles of the distance
    zero_point.py    the zero-point of Gaia parallaxes
    parallaxes.py    the parallax from the spectrum, that of Gaia, and the weighted mean of both
    clean.py         whether a distance is fit for work on single stars, and why not
    results.py       the columns and flags of N results, from all of these

No function warns of anything, whatever the numbers are: what cannot be computed is NaN.
"""
