"""Who has which spectra in hand, so that many workers share the work and a dead one loses none of it.

    claims.py     taking spectra, giving them back
    burial.py     what becomes of what the dead had in hand
    settling.py   writing results for what is still one's own
    liveness.py   whether a worker lives: a lock that ends with its process

A chunk is claimed in one short transaction and carries a token. Its rows are written in another one, which
drops the claims that still carry the token, and writes these rows alone. So a result is written once, even if
a worker was given up for dead and comes back. What a dead worker had in hand is taken one by one from then
on; a spectrum that kills three workers while they have nothing else in hand gets a row without a result.
"""
