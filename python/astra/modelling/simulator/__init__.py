"""Simulated stars, their spectra, and files of these.

stars.py            stars as rows of labels, and how they are drawn from isochrones
selection.py        which stars a survey looks at, and so how many of each luminosity it has
isochrones.py       isochrones from their files
families.py         isochrones of several groups, and a population of stars from all of them
bolometric.py       magnitudes for isochrones without
simulator.py        what a simulation is made from: a population, an emulator, conditions
compact.py          the simulator that comes with the package, and its fit; choosing one of the two
published.py        the simulator from the files of published models
emulators.py        published emulators: spectra of giants and dwarfs, and synthetic ones, from labels
sample.py           many stars, with unresolved companions, their spectra and their true labels
observe.py          from the spectrum of a star to the one that a survey stores
noise.py            noise like that of real spectra, and the errors that these state
masks.py            pixel masks
observables.py      magnitudes, reddening and parallaxes
survey.py           a simulated survey on disk
apstar_files.py     one apStar file in the layout of the survey
apstar_cards.py     the visits of a star, and the primary header of its file
"""

#: The tables of a simulated survey.
TARGETS, TRUTH = "targets.csv", "truth.csv"

#: Range of the signal-to-noise ratio per pixel.
MIN_SNR, MAX_SNR = 20.0, 500.0
