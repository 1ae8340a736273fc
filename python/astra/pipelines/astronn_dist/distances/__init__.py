"""From luminosities to distances and parallaxes: pure functions of arrays.

    distance.py      photometry and astrometry of N stars; -> parsecs; the limit of unreliable
    full_errors.py   the errors of Ks and E(B-V) beside that of the network; percentiles of the distance
    zero_point.py    the zero-point of Gaia parallaxes
    latitudes.py     latitudes above the ecliptic and above the plane of the Galaxy
    gaia_errors.py   by how much the errors of Gaia parallaxes are too small
    parallaxes.py    the parallax from the spectrum, that of Gaia, how far they are apart, their weighted mean
    best.py          of the distances of a star the one to use: from its spectrum, from Gaia, or from both
    clean.py         whether a distance is fit for work on single stars, and why not
    results.py       the columns and flags of N results, from all of these

No function warns of anything, whatever the numbers are: what cannot be computed is NaN.
"""
