"""Public names of :mod:`astra.models.glossary`."""

from astra.models.glossary import Glossary as Glossary
