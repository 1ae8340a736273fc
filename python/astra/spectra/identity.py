"""The identity of a product, and where its file lies.

A file name, the folders around it, a header and a row of an allStar table each state a part of the identity.
``identify`` combines the parts in one way, so that a product has the same ``product_id`` whether it comes
from a file or from a table. LOCATION_ID is not a part of it: it only names folders.

Paths are stored relative to ``SAS_BASE_DIR`` if they are under it, else as absolute ones.
"""

import dataclasses
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from astra.config import apstar_path, sas_base_dir
from astra.errors import ConfigError, UnreadableSpectrum, UsageError, nearest

#: Data release of each reduction in SDSS-III and SDSS-IV; later ones are published in several releases.
RELEASES = {"r3": "dr10", "r5": "dr12", "r6": "dr13", "r8": "dr14", "r12": "dr16", "dr17": "dr17"}
TELESCOPES = ("apo25m", "apo1m", "lco25m")
_TELESCOPE_OF = {"ap": "apo25m", "as": "lco25m"}
#: The field of a simulated spectrum, in its header and in its row; no field of the survey has this name.
SIMULATED_FIELD = "simulated"
#: What ``--release`` takes for work that is not public yet.
INTERNAL = "sdss5"
# Releases inside the collaboration: IPL-3 holds reductions of DR19, IPL-4 of DR20.
_IPL = re.compile(r"ipl-?(\d+)")
_BEFORE_IPL_3 = ("ipl1", "ipl2")
_RELEASE = re.compile(rf"dr\d{{1,2}}|{INTERNAL}|{_IPL.pattern}")

# DR10 named files after the combination, s3, of the reduction r3.
_COMBINATIONS = {"s3": "r3"}
_FILE_NAME = re.compile(
    r"(?P<prefix>ap|as)Star(?P<commissioning>C?)-(?P<version>[^-]+)-"
    rf"(?:(?P<telescope>{'|'.join(TELESCOPES)})-)?(?P<obj>.+?)(?:-(?P<last_night>\d{{5}}))?\.fits(?:\.gz)?"
)


@dataclass(frozen=True)
class FileName:
    """The facts in the name of an apStar or asStar file and in the folders around it."""

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
        """How the folders contradict the place or the telescope of the product; ``None`` if they do not."""
        pairs = {
            "HEALPix": (self.healpix, product.healpix),
            "field": (self.field if self.healpix is None else "", product.field),
            "telescope": (self.telescope, product.telescope),
        }
        differing = [
            f"{name} {there}, not {here}"
            for name, (here, there) in pairs.items()
            if not {None, ""} & {here, there} and str(here).lower() != str(there).lower()
        ]
        return ", ".join(differing) or None


@dataclass(frozen=True)
class Product:
    """One combined spectrum of one star in one reduction.

    Attributes:
        location_id: The folder in layouts that are ordered by LOCATION_ID; not a part of the identity.
        file_name: Name of the file, if a table states it; not a part of the identity.
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
        version, above, telescope = self.apred, f"{self.apstar}/{self.telescope}", ""
        if self.apstar in _COMBINATIONS:
            version = above = self.apstar
        if self.release in _BEFORE_IPL_3:
            above = self.telescope
        if self.healpix is not None:
            place, telescope = f"{self.healpix // 1000}/{self.healpix}", f"{self.telescope}-"
        elif _by_location(self.apred, self.telescope):
            place = self.location_id
        else:
            place = self.field if self.apred in RELEASES or self.telescope == "apo1m" else None
        if not place:
            return None
        kind = f"{self.filetype}{'C' if self.commissioning else ''}"
        name = self.file_name or f"{kind}-{version}-{telescope}{self.reduction or self.obj}.fits"
        return f"{self._root}/redux/{self.apred}/{above}/{place}/{name}"

    @property
    def _root(self) -> str:
        """The folder of the reductions of a release."""
        if self.apred in RELEASES:
            return f"{self.release}/apogee/spectro"
        if found := _IPL.fullmatch(self.release):
            return f"ipl-{found[1]}/spectro/apogee"
        if is_public(self.release):
            return f"{self.release}/spectro/apogee"
        return "sdsswork/mwm/apogee/spectro"

    def columns(self) -> dict[str, Any]:
        """The columns of a spectrum that identify the product."""
        names = ("release", "filetype", "apred", "apstar", "obj", "telescope", "healpix", "field", "prefix")
        return {name: getattr(self, name) for name in (*names, "reduction", "commissioning", "product_id")}


@dataclass(frozen=True)
class MwmProduct:
    """One combined spectrum of one star in an mwmStar file.

    Attributes:
        obj: The name under which the star was observed; empty if it is not known.
    """

    release: str
    v_astra: str
    telescope: str
    healpix: int | None
    sdss_id: int
    apred: str
    obj: str

    @property
    def product_id(self) -> str:
        """The identity: lower case, empty where a part is absent."""
        place = "" if self.healpix is None else self.healpix
        head = f"mwmstar/{self.release}/{self.v_astra}/{self.telescope}/{place}".lower()
        return f"{head}/{self.sdss_id}/{self.apred.lower()}/s"

    def columns(self) -> dict[str, Any]:
        """The columns of a spectrum that identify the product."""
        names = ("release", "v_astra", "telescope", "healpix", "sdss_id", "apred", "obj", "product_id")
        return {name: getattr(self, name) for name in names} | {"filetype": "mwmStar"}


def parse_path(path: str | PurePath) -> FileName | None:
    """The facts in a path about the product; ``None`` if this is not the name of an apStar or asStar file."""
    path = PurePath(path)
    found = _FILE_NAME.fullmatch(path.name)
    if found is None:
        return None
    version, telescope, place = found["version"], found["telescope"] or "", ""
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


def name_of(facts: Mapping[str, Any]) -> FileName | None:
    """The facts that the name of a file would state, from a row of a table that names no file.

    Args:
        facts: ``obj``, ``apred``, ``telescope``, and where they are known ``filetype`` and ``prefix``.

    Returns:
        ``None`` if one of the first three is absent, or if the file is neither an apStar nor an asStar file.
    """
    obj, apred, telescope = (facts.get(each) for each in ("obj", "apred", "telescope"))
    kind = re.fullmatch(r"(ap|as)Star(C?)", facts.get("filetype") or "apStar")
    if kind is None or None in (obj, apred) or telescope not in TELESCOPES:
        return None
    prefix = facts.get("prefix")
    if prefix not in _TELESCOPE_OF:
        # SDSS-V writes ``apStar`` for both hemispheres.
        prefix = "as" if apred in RELEASES and telescope == "lco25m" else kind[1]
    apstar = next((each for each, reduction in _COMBINATIONS.items() if reduction == apred), "stars")
    return FileName(prefix, bool(kind[2]), apred, apstar, telescope, obj, last_night="", place="")


def identify(
    name: FileName, facts: Mapping[str, Any], *, release: str | None = None, what: str = ""
) -> Product:
    """Combine the facts in a name with those in a header or a row of a table, which count first.

    Args:
        name: The parsed name of the file.
        facts: ``obj``, ``apred``, ``field``, ``telescope``, ``healpix``, ``location_id``,
            ``commissioning``, ``file_name``, ``release``; where one is absent or ``None``, the name decides.
        release: The release of reductions that do not state a public one themselves.
        what: The name of the product in an error.

    Raises:
        UsageError: The reduction belongs to no known release, and ``release`` is ``None`` or not one.
    """
    facts = {key: value for key, value in facts.items() if value is not None}
    # Headers hold the version of the software under the same keywords: only a known reduction counts.
    apred = facts["apred"] if facts.get("apred") in RELEASES else name.apred
    telescope = facts.get("telescope", "").lower()
    obj = facts.get("obj") or name.obj
    healpix = None if apred in RELEASES else facts.get("healpix", name.healpix)
    stated = facts.get("release")
    asked = stated if release is None or (stated and is_public(stated)) else release
    return Product(
        release=release_of(apred, asked, what or name.obj),
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


def published(obj: str, release: str, telescope: str, place: str) -> str:
    """The published path of a star in a release whose folders are named after fields.

    Args:
        obj: The APOGEE id.
        release: The data release, DR10 to DR17.
        telescope: One of ``TELESCOPES``.
        place: The name of the folder: FIELD, or LOCATION_ID where folders are named after it.

    Raises:
        UsageError: The release, the telescope, the name or the LOCATION_ID is not one.
    """
    apred = next((known for known, of in RELEASES.items() if of == release), None)
    if apred is None:
        raise UsageError(
            f"--field: {release} has no folders of fields, as {', '.join(RELEASES.values())} have; "
            "register its allStar table with `astra ingest allstar`"
        )
    if telescope not in TELESCOPES:
        raise UsageError(f"not a telescope: {telescope!r}{nearest(telescope, TELESCOPES)}")
    if not re.fullmatch(r"(2M|AP)[\w.+-]+", obj):
        raise UsageError(f"not an APOGEE id: {obj!r}; with --field give 2M… or AP…")
    by_location = _by_location(apred, telescope)
    if by_location and not place.isdecimal():
        raise UsageError(f"--field {place}: folders of {release} are named after LOCATION_ID, a number")
    facts = {"obj": obj, "apred": apred, "telescope": telescope, "field": place}
    facts["location_id"] = int(place) if by_location else None
    return identify(name_of(facts), facts).sas_path


def _by_location(apred: str, telescope: str) -> bool:
    """Whether folders are named after LOCATION_ID: until DR14, but not those of the 1-m telescope."""
    return telescope != "apo1m" and release_rank(RELEASES.get(apred, INTERNAL)) <= release_rank("dr14")


def release_of(version: str, asked: str | None, what: str, known: Mapping[str, str] = RELEASES) -> str:
    """The data release of a reduction, or of another version of software that makes products.

    Raises:
        UsageError: The version belongs to no known release, and ``asked`` is ``None`` or not one.
    """
    if version in known:
        return known[version]
    if asked and _RELEASE.fullmatch(asked.lower()):
        return asked.lower().replace("-", "")
    if asked:
        raise UsageError(f"not a data release: {asked!r}; --release takes e.g. {INTERNAL} or dr19")
    raise UsageError(
        f"{what}: the version {version!r} does not tell its data release; "
        f"give it with --release, e.g. --release {INTERNAL} or --release dr19"
    )


def is_public(release: str) -> bool:
    """Whether this is one of the public data releases."""
    return re.fullmatch(r"dr\d+", release.lower()) is not None


def release_rank(release: str) -> float:
    """A number that is larger for a newer release; releases of unknown form come first."""
    if release == INTERNAL:
        return 1000
    if found := _IPL.fullmatch(release):
        # Just before the public release of the same reductions.
        return max(int(found[1]) + 16, 18) - 0.5
    return int(release[2:]) if is_public(release) else 0


# > Where the file lies


def expected_path(product: Product) -> str | None:
    """Where the file of a product should lie, in its stored form; ``None`` if a part of the path is unknown.

    It is the path of the setting ``apstar_path`` if the product has all parts of it, else the published one.
    """
    template = apstar_path()
    if template is None:
        return product.sas_path
    parts = dataclasses.asdict(product) | {"filetype": product.filetype}
    if product.healpix is not None:
        parts["healpix_group"] = product.healpix // 1000
    wanted = [name for _, name, _, _ in string.Formatter().parse(str(template)) if name]
    if any(parts.get(name) in (None, "") for name in wanted):
        return product.sas_path
    path = Path(str(template).format(**parts))
    return stored(path) if path.is_absolute() else str(path)


def absolute(path: str | None) -> Path:
    """The place of a stored path on this machine.

    Raises:
        UnreadableSpectrum: There is no path.
        ConfigError: The path is relative, and ``SAS_BASE_DIR`` is not set.
    """
    if not path:
        raise UnreadableSpectrum("no file is known for this spectrum; ingest it with `astra ingest apstar`")
    return Path(path) if Path(path).is_absolute() else usable_base_dir() / path


def usable_base_dir() -> Path:
    """The folder that relative paths start from.

    Raises:
        ConfigError: ``SAS_BASE_DIR`` is not set.
    """
    base = sas_base_dir()
    if base is None:
        raise ConfigError(
            "SAS_BASE_DIR is not set, and the paths of some spectra are relative to it: "
            "set it to the folder that holds the data releases"
        )
    return base


def check_base_dir() -> None:
    """Refuse to start on relative paths when their folder is not there, or is empty (not mounted).

    Raises:
        ConfigError: ``SAS_BASE_DIR`` is not set, missing or empty.
    """
    base = usable_base_dir()
    try:
        empty = next(base.iterdir(), None) is None
    except OSError as error:
        raise ConfigError(f"SAS_BASE_DIR cannot be read: {base} ({error.strerror})") from error
    if empty:
        raise ConfigError(f"SAS_BASE_DIR is an empty folder: {base}; is the disk mounted?")


def stored(path: Path) -> str:
    """The form of a path that goes into the database."""
    path = path.absolute()
    base = sas_base_dir()
    if base is not None and path.is_relative_to(base.absolute()):
        return str(path.relative_to(base.absolute()))
    return str(path)
