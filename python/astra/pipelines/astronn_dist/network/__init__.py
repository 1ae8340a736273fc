"""The network: rectified flux -> many draws of the luminosity and its log-variance.

sampling.py   Monte Carlo dropout: where the network draws, and what the draws of a spectrum say together
dropout.py    the random bits of dropout, the same on every machine
on_cpu.py     the network where there is no GPU, compiled
bcnn.py       the network in torch: for training, on a GPU, and in readable form
"""
