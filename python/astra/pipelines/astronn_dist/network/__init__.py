"""The network: rectified flux -> many draws of the luminosity and its log-variance.

sampling.py   Monte Carlo dropout: what the draws of a spectrum say together
dropout.py    the random bits of dropout, the same on every machine
on_cpu.py     the network where there is no GPU; kernels.py: its convolutions, compiled
on_torch.py   the network on a GPU, and in readable form: bcnn.py
devices.py    which of the two a name stands for
"""
