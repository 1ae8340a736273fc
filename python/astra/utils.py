"""Small functions that users know from upstream Astra, each from the room that it is in."""

from astra.config import expand_path as expand_path
from astra.system.nested import flatten as flatten
from astra.system.version import version_integer_to_string as version_integer_to_string
from astra.system.version import version_string_to_integer as version_string_to_integer
