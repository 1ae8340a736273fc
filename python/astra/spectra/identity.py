"""What an apStar product is called: one identity, wherever it is read off.

A file name, the folders around it, a header and a row of an allStar table each say a part of it.
``identify`` puts the parts together in one way, so that the same product has one ``product_id``
whether it comes from a file or from a table. LOCATION_ID is not a part of it: it names folders only.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from astra.errors import UsageError

#: Data release of each reduction in SDSS-III and SDSS-IV; later ones are published in several releases.
RELEASES = {"r3": "dr10", "r5": "dr12", "r6": "dr13", "r8": "dr14", "r12": "dr16", "dr17": "dr17"}
TELESCOPES = ("apo25m", "apo1m", "lco25m")
#: What ``--release`` takes for work that is not public yet.
INTERNAL = "sdss5"

# DR10 named files after the combination, s3, of the reduction r3.
_COMBINATIONS = {"s3": "r3"}
_FILE_NAME = re.compile(
    r"(?P<prefix>ap|as)Star(?P<commissioning>C?)-(?P<version>[^-]+)-"
    rf"(?:(?P<telescope>{'|'.join(TELESCOPES)})-)?(?P<obj>.+?)(?:-(?P<last_night>\d{{5}}))?\.fits(?:\.gz)?"
)


@dataclass(frozen=True)
class FileName:
    """What the name of an apStar or asStar file and the folders around it say."""

    prefix: str
    commissioning: bool
    apred: str
    apstar: str
    telescope: str
    obj: str
    last_night: str
    place: str

    @property
    def healpix(self) -> int | None:
        """The HEALPix pixel, if the folders are those of SDSS-V."""
        return int(self.place) if self.apred not in RELEASES and self.place.isdigit() else None

    @property
    def field(self) -> str:
        """The name of the field, if the folder is named after it."""
        return "" if self.place.isdigit() and _by_location(self.apred, self.telescope) else self.place

    def disagreement(self, product: "Product") -> str | None:
        """Where the folders speak of another place or telescope than the product has; ``None`` if nowhere."""
        here = {
            "HEALPix": self.healpix,
            "field": self.field if self.healpix is None else "",
            "telescope": self.telescope,
        }
        there = {"HEALPix": product.healpix, "field": product.field, "telescope": product.telescope}
        differing = [
            f"{name} {there[name]}, not {here[name]}"
            for name in here
            if all(known not in (None, "") for known in (here[name], there[name]))
            and str(here[name]).lower() != str(there[name]).lower()
        ]
        return ", ".join(differing) or None


@dataclass(frozen=True)
class Product:
    """One combined spectrum of one star in one reduction.

    Attributes:
        location_id: The folder in layouts that have LOCATION_ID there; no part of the identity.
        file_name: Name of the file, where it is known better; no part of the identity.
    """

    release: str
    apred: str
    telescope: str
    obj: str
    prefix: str = "ap"
    apstar: str = "stars"
    field: str = ""
    healpix: int | None = None
    reduction: str = ""
    commissioning: bool = False
    location_id: int | None = dataclasses.field(default=None, compare=False)
    file_name: str = dataclasses.field(default="", compare=False)

    @property
    def filetype(self) -> str:
        """``apStar``, or ``asStar`` from the southern telescope."""
        return f"{self.prefix}Star"

    @property
    def product_id(self) -> str:
        """The identity: lower case except the object, empty where a part is absent."""
        place = self.field if self.healpix is None else str(self.healpix)
        head = "/".join((self.filetype, self.release, self.apred, self.telescope, place)).lower()
        return f"{head}/{self.obj}/{self.prefix}/{'c' if self.commissioning else 's'}"

    @property
    def sas_path(self) -> str | None:
        """The published path, relative to ``SAS_BASE_DIR``; ``None`` if a part of it is unknown."""
        folder = self._folder()
        return folder and f"{self._reduction_root()}/{folder}/{self.file_name or self._file_name()}"

    def columns(self) -> dict[str, Any]:
        """The columns of a spectrum that say which product it is."""
        names = ("release", "filetype", "apred", "apstar", "obj", "telescope", "healpix", "field", "prefix")
        return {name: getattr(self, name) for name in (*names, "reduction", "commissioning", "product_id")}

    def _reduction_root(self) -> str:
        if self.apred in RELEASES:
            return f"{self.release}/apogee/spectro/redux/{self.apred}"
        if self.release.startswith("dr"):
            return f"{self.release}/spectro/apogee/redux/{self.apred}"
        return f"sdsswork/mwm/apogee/spectro/redux/{self.apred}"

    def _folder(self) -> str | None:
        if self.apred not in RELEASES:
            if self.healpix is None:
                return None
            return f"{self.apstar}/{self.telescope}/{self.healpix // 1000}/{self.healpix}"
        place = self.location_id if _by_location(self.apred, self.telescope) else self.field
        if not place:
            return None
        if self.apstar in _COMBINATIONS:
            return f"{self.apstar}/{place}"
        return f"{self.apstar}/{self.telescope}/{place}"

    def _file_name(self) -> str:
        version = self.apstar if self.apstar in _COMBINATIONS else self.apred
        telescope = "" if self.apred in RELEASES else f"{self.telescope}-"
        commissioning = "C" if self.commissioning else ""
        return f"{self.prefix}Star{commissioning}-{version}-{telescope}{self.reduction or self.obj}.fits"


def parse_path(path: str | PurePath) -> FileName | None:
    """What a path says about the product; ``None`` if this is not the name of an apStar or asStar file."""
    path = PurePath(path)
    found = _FILE_NAME.fullmatch(path.name)
    if found is None:
        return None
    version = found["version"]
    telescope, place = found["telescope"] or "", ""
    # .../{telescope}/{field or LOCATION_ID}/, in SDSS-V .../{telescope}/{healpix // 1000}/{healpix}/
    above = [folder.name for folder in path.parents[:3]]
    if len(above) > 1 and above[1] in TELESCOPES:
        telescope, place = telescope or above[1], above[0]
    elif len(above) > 2 and above[2] in TELESCOPES and above[0].isdigit():
        telescope, place = telescope or above[2], above[0]
    return FileName(
        prefix=found["prefix"],
        commissioning=bool(found["commissioning"]),
        apred=_COMBINATIONS.get(version, version),
        apstar=version if version in _COMBINATIONS else "stars",
        telescope=telescope,
        obj=found["obj"],
        last_night=found["last_night"] or "",
        place=place,
    )


def identify(
    name: FileName, facts: Mapping[str, Any], *, release: str | None = None, what: str = ""
) -> Product:
    """Put together what a name says and what is known better from a header or a row of a table.

    Args:
        name: The parsed name of the file.
        facts: ``obj``, ``apred``, ``field``, ``telescope``, ``healpix``, ``location_id``,
            ``commissioning``, ``file_name``; where one is absent or ``None``, the name decides.
        release: The release of reductions that do not tell it themselves.
        what: How an error names the product.

    Raises:
        UsageError: The reduction belongs to no known release, and none is given.
    """
    facts = {key: value for key, value in facts.items() if value is not None}
    # Headers hold the version of the software under the same keywords: only a known reduction counts.
    apred = facts["apred"] if facts.get("apred") in RELEASES else name.apred
    telescope = facts.get("telescope", "").lower()
    obj = facts.get("obj") or name.obj
    healpix = None if apred in RELEASES else facts.get("healpix", name.healpix)
    return Product(
        release=release_of(apred, release, what or name.obj),
        apred=apred,
        apstar=name.apstar,
        telescope=telescope if telescope in TELESCOPES else name.telescope or _TELESCOPE_OF[name.prefix],
        obj=obj,
        prefix=name.prefix,
        field=(facts.get("field") or name.field) if healpix is None else "",
        healpix=healpix,
        reduction=name.obj if name.obj != obj else "",
        commissioning=bool(facts.get("commissioning", name.commissioning)),
        location_id=facts.get("location_id"),
        file_name=facts.get("file_name", ""),
    )


_TELESCOPE_OF = {"ap": "apo25m", "as": "lco25m"}


def _by_location(apred: str, telescope: str) -> bool:
    """Whether folders are named after LOCATION_ID: until DR14, but not those of the 1-m telescope."""
    return telescope != "apo1m" and release_rank(RELEASES.get(apred, INTERNAL)) <= release_rank("dr14")


def release_of(apred: str, asked: str | None, what: str) -> str:
    """The data release of a reduction.

    Raises:
        UsageError: It belongs to no known release, and none (or none that can be one) is given.
    """
    if apred in RELEASES:
        return RELEASES[apred]
    if asked and re.fullmatch(r"\w+", asked):
        return asked.lower()
    if asked:
        raise UsageError(f"not a data release: {asked!r}; --release takes e.g. {INTERNAL} or dr19")
    raise UsageError(
        f"{what}: the reduction {apred!r} does not tell its data release; "
        f"give it with --release, e.g. --release {INTERNAL} or --release dr19"
    )


def release_rank(release: str) -> int:
    """A number that is larger for a newer release; releases of unknown form come first."""
    if release == INTERNAL:
        return 1000
    found = re.fullmatch(r"dr(\d+)", release)
    return int(found[1]) if found else 0
