"""The head of the page, and how many results carry which flag."""

from collections.abc import Iterable, Iterator

import numpy as np

from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Distance
from astra.models.fields import flags_of
from astra.report.contents import Contents
from astra.report.outliers import has_flag
from astra.report.pages.markup import (
    Section,
    escape,
    facts,
    paragraph,
    share,
)
from astra.report.provenance import Kind, Provenance

#: Of the view ``distances``: what the bits of a result add up to.
_SUMS = ("flag_warn", "flag_bad")


def head(contents: Contents) -> str:
    """Database, weights, and the numbers that matter most, as HTML."""
    rows = contents.rows
    entries = {
        "spectra with a result row": f"{len(rows):,}",
        "stars": f"{contents.stars:,}",
        "good": _count(rows["good"]),
        "look twice (flag_warn)": _count(rows["flag_warn"]),
        "discard (flag_bad)": _count(rows["flag_bad"]),
    }
    return "\n".join(
        (
            '<p class="kicker">Report on spectrophotometric distances (astronn_dist)</p>',
            f"<h1>{len(rows):,} APOGEE spectra, {contents.stars:,} stars</h1>",
            provenance_line(contents.provenance),
            *weights_lines(contents.provenance),
            facts(entries),
        )
    )


def provenance_line(provenance: Provenance) -> str:
    """Which database, which version, which weights, and when, on one line; as HTML."""
    said = [escape(provenance.database)]
    if provenance.versions:
        said.append(f"astra {escape(', '.join(provenance.versions))}")
    if provenance.newest:
        said.append(f"newest result {provenance.newest:%Y-%m-%d %H:%M} UTC")
    return f'<p class="kicker">{" · ".join(said)}</p>'


def weights_lines(provenance: Provenance) -> list[str]:
    """Which weights, seed and draws, and what they are good for; as HTML."""
    kinds = provenance.kinds
    if len(kinds) > 1:
        text = f"Results of {len(kinds)} kinds of weights, seeds or versions"
        text += ": see <a href='#weights'>Weights</a>"
        return [f'<p class="kicker"><strong>{text}</strong></p>']
    return [
        f'<p class="kicker">weights <strong>{escape(kind.origin.weights_name)}</strong> · '
        f"sha256 <code>{escape(kind.origin.weights_sha256[:12])}</code>… · seed {escape(kind.origin.seed)} · "
        f"{escape(kind.origin.n_draws)} draws · {_good_for(kind)}</p>"
        for kind in kinds
        if kind.origin.weights_sha256
    ]


def _good_for(kind: Kind) -> str:
    if not kind.good_for:
        return "what they are good for is not stated"
    return f"good for {escape(kind.good_for)}"


def _count(mask: np.ndarray) -> str:
    part = f" ({share(mask.mean())})" if len(mask) else ""
    return f"{mask.sum():,}{part}"


# > What the numbers come from


def origin_section(contents: Contents) -> Section:
    """The weights, with what they are good for."""
    kinds = contents.provenance.kinds
    text = ""
    if len(kinds) > 1:
        text = paragraph(
            "<strong>These results are not of one kind:</strong> they come from different weights, seeds, "
            "draws or versions, and should not be compared without care."
        )
    return Section("weights", "Weights", text + "\n".join(map(_kind, kinds)))


def _kind(kind: Kind) -> str:
    origin = kind.origin
    if origin.weights_sha256 is None:
        return paragraph(f"{origin.rows:,} results belong to no known run.")
    entries = {
        "weights": escape(origin.weights_name),
        "results": f"{origin.rows:,}",
        "seed": escape(origin.seed),
        "draws": escape(origin.n_draws),
        "version of astra": "{}.{}".format(*divmod(origin.version, 1000)),
        "precision": escape(origin.precision),
    }
    stated = escape(kind.good_for) if kind.good_for else "not stated by their maker"
    return (
        facts(entries)
        + paragraph(f"<strong>Good for:</strong> {stated}")
        + f'<p class="kicker">sha256 <code>{escape(origin.weights_sha256)}</code></p>'
    )


# > Flags


def flags_section(contents: Contents) -> Section:
    """Every flag with its meaning; a click shows the listed stars that have it."""
    text = paragraph(
        "Choose a flag to see stars that have it in the <a href='#outliers'>table of outliers</a>. "
        "<code>good</code> is what to use for science: not <code>flag_bad</code>, and none of the bits "
        "<code>bad_pixels</code>, <code>very_bright_neighbor</code> and <code>low_snr</code> of the "
        "spectrum (STARFLAG bits 0, 3 and 4)."
    )
    result = _table("Flags of the results", _of_results(contents), len(contents.rows))
    spectrum = list(_of_spectra(contents))
    if not spectrum:
        return Section("flags", "Flags", text + result + paragraph("No spectrum has a STARFLAG bit set."))
    caption = "Flags of the spectra (STARFLAG); those that no spectrum has are left out"
    return Section("flags", "Flags", text + result + _table(caption, spectrum, len(contents.rows)))


def _of_results(contents: Contents) -> Iterator[tuple[str, str, int]]:
    for name, flag in flags_of(AstroNNdist, "result_flags").items():
        yield name, flag.help_text, int(has_flag(contents.rows["result_flags"], flag.value).sum())
    for name in _SUMS:
        yield name, getattr(Distance, name).help_text, int(contents.rows[name].sum())


def _of_spectra(contents: Contents) -> Iterator[tuple[str, str, int]]:
    for name, flag in flags_of(ApogeeCoaddedSpectrumInApStar, "spectrum_flags").items():
        if count := int(has_flag(contents.rows["spectrum_flags"], flag.value).sum()):
            yield name, flag.help_text, count


def _table(caption: str, entries: Iterable[tuple[str, str, int]], total: int) -> str:
    body = "".join(
        f'<tr><th scope="row"><div><button type="button" class="flag" data-flag="{name}" '
        f'data-count="{count:,}" aria-pressed="false">{name}</button> '
        f'<span class="meaning">{escape(meaning)}</span></div></th>'
        f"<td>{count:,}</td><td>{share(count / total)}</td></tr>"
        for name, meaning, count in entries
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("flag", "spectra", "share"))
    return (
        f'<table class="numbers wide flags"><caption>{caption}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )
