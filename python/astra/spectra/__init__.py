"""What a spectrum is, apart from any pipeline: its name, its file, how it is read and rectified.

identity.py          the identity of a product, from a file's name, a header or a row; where its file lies
combined.py          a combined spectrum, and a file that holds some: what all kinds of files share
apstar.py            reads the combined spectrum of an apStar or asStar file
mwmstar.py           reads the combined spectra of APOGEE in an mwmStar file
content.py           the bytes of a file, or the error of the operating system
fits_structure.py    where the images of a FITS file lie, and whether its sizes are plausible
grid.py              the pixels of an apStar spectrum: detectors, mask bits, continuum
rectify.py           counts on 8575 pixels -> continuum-normalised flux on 7514
lines.py             names and vacuum wavelengths of spectral lines
coverage.py          how much of a spectrum the network sees
"""
