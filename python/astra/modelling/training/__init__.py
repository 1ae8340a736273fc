"""Making the network's weights: from examples, spectra with labels, to a file that says what it is worth.

The parts, from what is learnt from to what comes out:

    from_simulator.py, from_database.py    the two recipes of `astra train`; request.py: what both share
    simulated.py                           examples from simulated stars
    parallaxes.py, rectified.py            examples from spectra of a database
    work_folder.py                         where examples are kept, and what is wrong with it
    examples.py, split.py                  spectra and labels; noise and masks of a batch; parts by star
    batches.py                             an epoch in random order, made while the last batch is used
    convolution.py, kernels.py             the network as a function that is fast to train on a CPU
    forward.py                             dropout and the pass through the network, on a CPU or a GPU
    losses.py                              likelihoods
    options.py, initial.py                 what can be chosen; the network before the first step
    loop.py, checkpoint.py                 epochs, averaged weights, early stopping; the state on disk
    calibrate.py, checked_calibration.py   the heads once more, to what inference makes of them
    validity_fit.py                        what a model needs to notice spectra unlike its training's
    held_out.py                            predictions for simulated stars that were not learnt from
    evaluate.py, parallax_metrics.py       how good predictions are
    report/                                the page that shows it
"""
