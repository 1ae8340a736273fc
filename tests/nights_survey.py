"""A survey of two releases, two telescopes and two nights, whose numbers are known.

fill_nights()    its rows; gives the moment by which they were made
a_night()        results of one night at one telescope
"""

from datetime import datetime, timedelta

import peewee
from builders import a_result, a_run, a_source, a_spectrum

from astra.database.connection import database, now
from astra.models import Source
from astra.status.nights import nights_until, start_of

#: A release that would end a label, or a line, if it were not escaped.
ODD = 'dr"17\\\n'

#: No input of a result has changed since this.
LONG_AGO = datetime(2026, 1, 1)


def fill_nights(db: peewee.Database) -> datetime:
    """Twenty good results at Apache Point in the night before, at Las Campanas ones that contradict Gaia."""
    with db.atomic():
        return _fill(now(db))


def _fill(moment: datetime) -> datetime:
    before, this = map(start_of, nights_until(moment, 2))
    run = a_run(
        weights_name="survey", weights_sha256="ab" * 32, v_astra_major_minor=1, outcome="done", processed=49,
        measured=46, no_result=3, rederived=2, started=before, finished=before + timedelta(seconds=98),
    )  # fmt: skip
    a_night(before, 20, pull=1.0, snr=80.0, run_pk=run.pk)
    a_night(before, 3, flag_no_result=True, run_pk=run.pk)
    a_night(before, 21, telescope="lco25m", pull=4.0, snr=40.0, run_pk=run.pk)
    a_night(before, 1, telescope="lco25m", pull=99.0, flag_fakemag_unreliable=True, run_pk=run.pk)
    a_night(this, 4, release=ODD, pull=2.0, flag_missing_extinction=True, ebv=0.0, run_pk=run.pk)
    a_night(before - timedelta(days=1), 5, pull=50.0)
    for days in (3, 2):
        a_spectrum(_star(), telescope="lco25m", created=moment - timedelta(days=days), modified=LONG_AGO)
    return moment


def a_night(start: datetime, number: int, *, pull: float = 0.0, **values) -> None:
    """Results whose inputs were read in the night that starts then."""
    of_spectrum = {name: values.pop(name) for name in ("release", "telescope", "snr") if name in values}
    error = {"nn_parallax": 1.0, "e_nn_parallax": 0.03, "e_gaia_parallax": 0.04}
    gaia = error | {"gaia_parallax": 1.0 - 0.05 * pull, "plx_zero_point": 0.0}
    ebv = {"ebv": -1.0} if values.get("flag_missing_extinction") else {}
    with database.atomic():
        for _ in range(number):
            spectrum = a_spectrum(_star(**ebv), modified=LONG_AGO, **of_spectrum)
            a_result(spectrum, inputs_read=start + timedelta(seconds=1), **(gaia | values))


def _star(**values) -> Source:
    return a_source(modified=LONG_AGO, **values)
