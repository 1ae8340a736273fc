"""The options of a task on the command line: they are known once the task is."""

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from astra.cli import completion
from astra.cli.commands import AstraCommand
from astra.cli.console import note
from astra.errors import MEANT, AstraError, ConfigError, UsageError
from astra.running.arguments import OF_EVERY_TASK, OF_SOME_TASKS
from astra.system.arguments import option_name, takes

if TYPE_CHECKING:
    from astra.tasks.contract import Task
    from astra.tasks.options import TaskOption


class TaskCommand(AstraCommand):
    """A command on a task, made by ``takes``, that takes the options of this task beside its own."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """Find the task among the words, and let a command with its options read them all.

        Raises:
            ConfigError: An option of the task is called as one of the command.
        """
        words = self._words(ctx, args)
        # To complete a command line, the options are known without the task.
        if not words or ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        from astra.tasks.installed import find_task, task_names

        installed = task_names()
        try:
            task = find_task(next((word for word in words if word in installed), words[0]))
        except AstraError as error:
            # The command says so in its report, if it can be reached without options of this task.
            try:
                return super().parse_args(ctx, args)
            except typer.TyperException as wrong:
                # A misspelt option leaves its value behind, which looks like a task.
                is_spelling = isinstance(error, UsageError) and MEANT in str(wrong)
                raise (wrong if is_spelling else error) from None
            except typer.Exit:  # the help was shown
                note(f"astra: the options of the task are not shown: {error}")
                raise
        ctx.command = self._with_options_of(task)
        return ctx.command.parse_args(ctx, args)

    def shell_complete(self, ctx: typer.Context, incomplete: str) -> list[Any]:
        """The options that begin as what is there, those of the task among them."""
        own = super().shell_complete(ctx, incomplete)
        of_task = completion.options_of(ctx.params.get("task") or "", incomplete)
        return [*own, *(each for each in of_task if each.value not in {one.value for one in own})]

    def _words(self, context: typer.Context, args: list[str]) -> list[str]:
        """The words among which the name of the task is, as long as its options are unknown."""
        parser = self.make_parser(context)
        parser.ignore_unknown_options = True
        values, _, _ = parser.parse_args(list(args))
        words = [values.get("task"), *(values.get("what") or ())]
        return [word for word in words if isinstance(word, str) and not word.startswith("-")]

    def _with_options_of(self, task: "Task") -> "_CommandOnOneTask":
        offered = [each for each in task.options.values() if each.name not in OF_EVERY_TASK]
        taken = {"--help"} | {name for each in self.params for name in (each.name, *each.opts)}
        for each in offered:
            if not taken.isdisjoint({each.name, option_name(each.name), option_name(f"no_{each.name}")}):
                raise ConfigError(
                    f"task {task.name}: its option {each.name} is called as one of `astra {self.name}`: "
                    "its package has to rename the parameter"
                )
        function = inspect.unwrap(self.callback)
        (asked,) = inspect.signature(function).parameters.values()
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        register = app.command(self.name, cls=_CommandOnOneTask, epilog=self.epilog)
        register(takes(asked.annotation, [_parameter(each, task.name) for each in offered])(function))
        command = typer.main.get_command(app)
        command.task = task.name
        for each in command.params:
            # Given all the same, it is an error that names the task.
            each.hidden = getattr(each, "hidden", False) or each.name in OF_SOME_TASKS - task.options.keys()
        return command


class _CommandOnOneTask(AstraCommand):
    """A command that has options of a task: they have a section of their own in its help."""

    task: str | None = None

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            error.message += self._help_on(error)
            raise

    def format_options(self, ctx: typer.Context, formatter: Any) -> None:
        of_task = self._of_task()
        own = [each for each in self.params if each not in of_task]
        AstraCommand(self.name, params=own, rich_markup_mode=None).format_options(ctx, formatter)
        if of_task:
            with formatter.section(of_task[0].rich_help_panel):
                formatter.write_dl([each.get_help_record(ctx) for each in of_task])

    def _of_task(self) -> list[Any]:
        return [each for each in self.params if getattr(each, "rich_help_panel", None)]

    def _help_on(self, error: typer.TyperException) -> str:
        """What helps with a wrong option: its help, or which there are."""
        of_task = self._of_task()
        if hasattr(error, "possibilities"):  # there is no such option
            if MEANT in error.message:
                return ""
            names = ", ".join(each.opts[0] for each in of_task)
            return f" ({of_task[0].rich_help_panel}: {names})" if of_task else ""
        named = {getattr(error, "option_name", None), *getattr(getattr(error, "param", None), "opts", ())}
        found = [each.help for each in of_task if each.help and not named.isdisjoint(each.opts)]
        return f" ({found[0].rstrip('.')})" if found else ""


def _parameter(option: "TaskOption", task: str) -> inspect.Parameter:
    declared = option.declared
    panel = f"Options of {task}"
    info = typer.Option(help=declared.help, min=declared.min, max=declared.max, rich_help_panel=panel)
    annotation = Annotated[option.type | None if option.may_be_none else option.type, info]
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(option.name, kind, default=option.default, annotation=annotation)
