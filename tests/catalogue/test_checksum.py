"""Checksums of FITS, chunk by chunk, against those of astropy."""

from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from numpy import frombuffer, uint8

from astra.catalogue.checksum import Checksum, encoded

# What astropy's own writer uses; there is no public way to the sum of bytes.
oracle = fits.PrimaryHDU()


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_the_sum_does_not_depend_on_the_chunks_and_is_that_of_astropy(chunks):
    whole = b"".join(chunks)
    padded = whole + b"\0" * (-len(whole) % 2880)

    growing = Checksum()
    for chunk in chunks:
        growing.add(chunk)

    assert growing.value == oracle._compute_checksum(frombuffer(padded, uint8))
    assert growing.length == len(whole)


@given(st.integers(0, 2**32 - 1))
def test_the_letters_of_a_sum_are_those_of_astropy(value):
    assert encoded(value) == oracle._char_encode(2**32 - 1 - value)


def test_a_sum_that_overflows_again_and_again_is_folded():
    growing = Checksum()
    for _ in range(3):
        growing.add(b"\xff" * 2880 * 7)

    assert growing.value == 2**32 - 1
