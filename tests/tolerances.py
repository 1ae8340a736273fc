"""How far two ways of computing one number may differ: other batches, another order of sums, other kernels.

Bit for bit, tests compare only what is computed in the same way twice, from arrays of the same shapes.
"""

#: Of float64 numbers: thousands of roundings in another order are 1e-14, and some of that is magnified.
FLOAT64 = 1e-12

#: Of numbers that pass through float32, where one rounding is 6e-8; results are promised to be that close.
FLOAT32 = 1e-5
