"""Simulated stars, their spectra, and files of these.

stars.py, isochrones.py        stars as rows of labels, drawn from isochrones
simulator.py, choosing.py       a population of stars and an emulator of their spectra; which there are
compact.py, fitting.py         the simulator that comes with the package, and how it is fitted
emulators/                     spectra of stars from their labels
companions.py                  the light of a second star in the same spectrum
conditions.py                  how stars are observed, and how far emulators may be from the truth
broadening.py, pixels.py       lines broadened and shifted; which pixels are covered
observe.py, masks.py           from the spectrum of a star to the one that a survey stores; pixel masks
observables.py                 magnitudes, reddening and parallaxes
sample.py                      many stars, their spectra, and the truth about them
survey.py                      a simulated survey on disk
apstar_files.py                one apStar file in the survey's layout
apstar_cards.py, apstar_velocities.py, fits_bytes.py    its header, its HDU 9, its bytes
reading.py                     one line for whatever is wrong with a file of a model
"""
