"""Making models: nothing that a run imports.

simulator/       simulated stars, their spectra, and files of these
training/        from examples, spectra with labels, to a file of weights
comparison.py    results against the truth of a simulation
two_models.py    two models on the same spectra: what differs, and which is better where
"""
