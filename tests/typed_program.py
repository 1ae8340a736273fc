"""A program of a user, whose types ``make lint`` checks: what it writes is what an editor completes."""

from typing import assert_type

import astra
from astra.products.apstar import CombinedSpectrum, read_combined
from astra.stars.star_distance import StarDistance

spectrum = read_combined("apStar-dr17-2M00000001+0000001.fits")
assert_type(spectrum, CombinedSpectrum)
star = astra.distance(spectrum, k_mag=9.347, ebv=0.35, plx=0.12, e_plx=0.04, gaia_release="dr3")
assert_type(star, StarDistance)
stars = astra.distance_from_apstar(["apStar-dr17-2M00000001+0000001.fits"], catalog="targets.csv")
assert_type(stars, StarDistance)
assert_type(stars[0], StarDistance)
assert_type(stars[stars.clean], StarDistance)
assert_type([each.isscalar for each in stars], list[bool])
