"""Waits for spectra that runs of other versions of Astra have in hand.

Each version has rows of its own, and all share the claims: a spectrum that a run of another version has in
hand is still pending when that is done with it. A run without anything else to do holds no claim while it
waits, so that two runs never wait for each other.
"""

import logging
import math
import time

from astra.database.reconnecting import persistent
from astra.errors import Interrupted
from astra.running.claims import Claims
from astra.running.supply import WhyStop
from astra.system.signals import draining
from astra.system.version import __version__

log = logging.getLogger("astra")

#: Nobody waits for longer while nothing is released [s].
PATIENCE_S = 600.0

# The pause between two looks [s], and how often it is said that a run waits.
_LOOK_AGAIN_S, _SAY_S = 0.5, 60.0


def wait_for_others(claims: Claims, why_stop: WhyStop) -> str | None:
    """Wait until runs of other versions have let go of what they held when there was nothing else to claim.

    Args:
        claims: Of this run, which has no chunk in hand.
        why_stop: Gives the reason to wait no longer, or ``None``.

    Returns:
        The reason, if there is one.

    Raises:
        Interrupted: None of them was released for long.
    """
    since, said = time.monotonic(), -math.inf
    left = claims.elsewhere & persistent(claims.look_elsewhere)
    while left:
        if reason := why_stop():
            return reason
        if time.monotonic() - since > PATIENCE_S:
            raise Interrupted(
                f"{_what(claims, left)}: none of them was released for {PATIENCE_S:.0f} s; run again when it "
                "has ended"
            )
        if time.monotonic() - said > _SAY_S:
            log.info("waiting until version %s can measure them, too: %s", __version__, _what(claims, left))
            said = time.monotonic()
        draining.wait(_LOOK_AGAIN_S)
        before, left = left, left & persistent(claims.look_elsewhere)
        if left != before:
            since = time.monotonic()
    return None


def _what(claims: Claims, spectra: set[int]) -> str:
    named = [
        f"run {run.pk} of version {run.version} (process {run.pid} on {run.host})"
        for run in persistent(claims.holders_elsewhere)
    ]
    return f"{', '.join(named) or 'another run'} has {len(spectra):,} pending spectra in hand"
