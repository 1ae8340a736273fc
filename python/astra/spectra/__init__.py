"""What a spectrum is, apart from any pipeline: its name, its file, how it is read and rectified.

identity.py            the identity of a data product, from a file's name, a header, or a row
location.py            where its file lies
apstar.py              the reader of apStar and asStar files
content.py             the bytes of a file, and what the operating system says in their place
fits_structure.py      where the images of a FITS file lie; whether it is whole, and of a bearable size
tiles.py               tile-compressed images
grid.py                the pixels of an apStar spectrum
continuum_pixels.py    the detectors, and the pixels that the continuum is fitted to
rectify.py             counts on 8575 pixels -> continuum-normalised flux on 7514
photometry.py          which magnitudes are true, and the extinction in Ks
"""
