"""Training of the network: from examples, spectra with labels, to a file of weights that says how good it is.

From what is asked for, by what is learnt from, to what comes out:

    request.py                             the arguments of `astra train`, and the options of a training
    from_simulator.py, from_database.py    the two recipes of `astra train`; session.py: what both share
    simulated.py                           examples from simulated stars
    parallaxes.py, rectified.py            examples from spectra of a database
    work_folder.py                         where examples and the state of a training are kept
    examples.py                            spectra and labels, and parts of them by star
    batches.py                             an epoch in random order, with noise and masks, prepared in advance
    network.py, convolution.py             weights before the first step; the pass of a batch through it
    losses.py, loop.py                     likelihoods; epochs, averaged weights, early stopping
    calibrate.py, checked_calibration.py   the heads fitted again to what inference makes of them; validity
    error_tables.py                        corrections by luminosity and noise; what missing pixels cost
    evaluate.py                            how good predictions are
    claims.py                              what the model may claim to be good for, by its own test
    report/                                the page that shows it
"""
