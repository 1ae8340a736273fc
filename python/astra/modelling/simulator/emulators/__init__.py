"""Spectra of stars from their labels.

labels.py        which labels, and the box in which an emulator was trained
quadratic.py     red giants: a quadratic in the labels for each pixel ("The Cannon")
giants_scale.py  from the labels of isochrones to those that it was fitted with
neural.py        dwarfs, and synthetic spectra of any star: a small network for each pixel ("The Payne")
grid.py          a coarse grid of synthetic spectra up to 25000 K, on all pixels
blended.py       one emulator from all of them
"""
