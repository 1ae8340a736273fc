"""Figures of photometry that registering a star and measuring its distance share."""

#: A_K / E(B-V), from A_K = 0.918 E(B-V) / 2.61; 0.918 is A_K / E(H - [4.5 um]) of Majewski, Zasowski &
#: Nidever 2011 (ApJ 739, 25, equation 1), and E(B-V) = 2.61 E(H - [4.5 um]).
A_K_PER_EBV = 0.3517

#: A usable Ks magnitude is larger than this: catalogues write -9999 where there is none [mag].
SMALLEST_K_MAG = -1.0

#: From here on a magnitude or a reddening stands for one that was not measured, e.g. 99.999 [mag].
FILLER = 98.0

#: From here on the error of a magnitude says that it is unknown: 2MASS writes 8.888 and 9.995 to 9.999 [mag].
LARGEST_MAGNITUDE_ERROR = 8.0
