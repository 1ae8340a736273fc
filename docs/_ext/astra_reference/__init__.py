"""The reference, made from the code whenever the site is built, so that it cannot drift.

    {reference} columns MODEL   the columns of a table or a view
    {reference} flags MODEL [COLUMN]   its bits
    {reference} exit-codes      what the program ends with
    {reference} json-commands, json-keys, json-before   what --json prints
    {reference} settings        what can be set, and where
    {reference} options TASK    what a task takes beside the options of its command
    {reference} commands        every command with its arguments, options and examples

tables.py and commands.py give Markdown, and know nothing of Sphinx.
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from astra_reference import commands, tables

CONTENTS = {
    "columns": tables.columns,
    "flags": tables.flags,
    "exit-codes": tables.exit_codes,
    "json-commands": tables.json_commands,
    "json-keys": tables.json_keys,
    "json-before": tables.json_before,
    "settings": tables.settings,
    "options": tables.options,
    "commands": commands.commands,
}


class Reference(SphinxDirective):
    """A part of the reference, by its name."""

    required_arguments = 1
    optional_arguments = 2

    def run(self) -> list[nodes.Node]:
        """The part as it is now."""
        self.env.note_reread()  # the code changes, and not the page
        name, *more = self.arguments
        return self.parse_text_to_nodes(CONTENTS[name](*more), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("reference", Reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
