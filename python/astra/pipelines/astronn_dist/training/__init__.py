"""Making the network's weights: from examples, spectra with labels, to tensors as in ``weights.SHAPES``.

The parts, from what is learnt from to what comes out:

    examples.py      spectra and labels; noise and masks of a batch
    batches.py       an epoch in random order, the next batches made while the last one is used
    convolution.py   the network as a function that is fast to train on a CPU
    forward.py       dropout and the pass through the network, on a CPU or a GPU
    losses.py        the two likelihoods
    options.py       what can be chosen, and the learning rate that follows
    initial.py       the network before the first step
    loop.py          epochs: optimiser, averaged weights, validation, early stopping
    checkpoint.py    the state on disk, which survives a kill
    calibrate.py     the two heads fitted once more, to what inference makes of them
"""
