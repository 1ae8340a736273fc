"""Writes spec files with a known break, in the layout of the survey: for tests, and for a first try."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

#: log10 of the wavelength of the first pixel, the step, and the number of pixels, as in the files of BOSS.
FIRST, STEP, N_PIXELS = 3.5523, 1e-4, 4648


def write_spec(
    folder: Path, number: int, *, strength: float = 1.5, first: float = FIRST, **facts: Any
) -> Path:
    """Write the file of one made-up spectrum, with noise that belongs to its number.

    Args:
        folder: Where to.
        number: Its catalogid.
        strength: Of its break.
        first: log10 of the wavelength of the first pixel.
        **facts: Columns of SPALL with other values than usual.

    Returns:
        The file, named after field, date and catalogid.
    """
    spall = {
        "FIELD": 112360,
        "MJD": 60000,
        "RUN2D": "v6_1_3",
        "CATALOGID": number,
        "SDSS_ID": 50_000_000 + number,
    }
    spall |= {
        "RACAT": 150.0,
        "DECCAT": 2.2,
        "CLASS": "GALAXY",
        "Z": 0.1,
        "ZWARNING": 0,
        "SN_MEDIAN_ALL": 20.0,
    }
    spall |= facts
    loglam = first + STEP * np.arange(N_PIXELS)
    rest = 10**loglam / (1 + spall["Z"])
    flux = np.where(rest < 4000, 1.0, strength) * (4000 / rest) ** 2
    error = flux / spall["SN_MEDIAN_ALL"]
    flux = np.random.default_rng(number).normal(flux, error)
    none, zero = np.zeros(N_PIXELS, np.int32), np.zeros(N_PIXELS, np.float32)
    coadd = {"FLUX": flux.astype(np.float32), "LOGLAM": loglam.astype(np.float32)}
    coadd |= {"IVAR": (error**-2).astype(np.float32), "AND_MASK": none, "OR_MASK": none}
    coadd |= dict.fromkeys(("WDISP", "SKY", "WRESL", "MODEL"), zero)
    tables = [_table("COADD", coadd), _table("SPALL", {name: [value] for name, value in spall.items()})]
    primary = fits.PrimaryHDU(header=fits.Header({"TELESCOP": "SDSS 2.5-M", "VACUUM": True}))
    path = folder / f"spec-{spall['FIELD']}-{spall['MJD']}-{spall['CATALOGID']}.fits"
    fits.HDUList([primary, *tables]).writeto(path, overwrite=True)
    return path


def _table(name: str, columns: dict[str, Any]) -> fits.BinTableHDU:
    return fits.BinTableHDU(Table(columns), name=name)


def main() -> int:
    """``python -m boss_d4000.simulate FOLDER N``: write so many files, with breaks from 1.2 to 2.

    The objects lie within a field, at redshifts from 0.02 to 0.25; place and redshift belong to the number.
    """
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for number, strength in enumerate(np.linspace(1.2, 2.0, count), start=1):
        ra, dec, z = np.random.default_rng((number, 1)).uniform((149, 1.2, 0.02), (151, 3.2, 0.25)).tolist()
        write_spec(folder, number, strength=strength, RACAT=ra, DECCAT=dec, Z=z)
    print(f"{count:,} spec files are in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
