"""`impasto batch`: many pictures."""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from impasto.batches import inputs, manifest, shards, templates
from impasto.batches.inputs import Found
from impasto.batches.item import Item
from impasto.cli import paint
from impasto.cli.commands import batch_rows
from impasto.cli.display import notes as notes_display
from impasto.cli.options import executor as executor_options
from impasto.cli.options import output as output_options
from impasto.cli.options import task as task_options
from impasto.cli.signals import Answer, Interrupted, Stop, signals
from impasto.cli.values import Options, OptionValue
from impasto.errors import OutputError, UsageError
from impasto.executors import storage
from impasto.executors.task import Task
from impasto.jobs import checkpoint_paths
from impasto.jobs.output import STREAM, Output
from impasto.picture import format_of, output_profile
from impasto.picture.checks import check_name, check_options
from impasto.system.digests import file_digest
from impasto.system.paths import common_folder, is_url, nearest_folder
from impasto.system.signals import CHECKPOINT
from impasto.system.text import printable

if TYPE_CHECKING:
    from impasto.batches.batch import Batch
    from impasto.batches.log import BatchLog
    from impasto.cli.display.batch import BatchDisplay
    from impasto.executors.base import Executor
    from impasto.picture import Measure


def _shard(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    return None if value is None else shards.parse(value)


@click.command()
@click.argument("photos", metavar="PHOTOS|LIST")
@click.argument("styles", metavar="[STYLE ...]", nargs=-1)
@click.option("--blend", is_flag=True, help="Paint each photo after all styles together, not after each in turn.")
@click.option("--shard", callback=_shard, metavar="I/N", help="Do part I of N, which N machines share out alike.")
@click.option("--retry-failed", is_flag=True, help="Do only those that failed the last time.")
@click.option(
    "--log", metavar="FILE", help="A line of JSON for each picture done [default: impasto-batch.jsonl beside them]."
)
@executor_options.executor_options("local")
@task_options.painting_options
@click.pass_context
def batch(context: click.Context, /, photos: str, styles: tuple[str, ...], **options: OptionValue) -> None:
    """Paint many photos: those of a folder or a 'glob', each after each STYLE; or what a list says.

    A list ends in .toml, .jsonl or .csv; each line names content, style and output, and any option below without its
    dashes. All options of stylize mean here what they mean there, for every picture. OUT, and the files of --preview
    and --checkpoint, are templates with {content}, {style}, {recipe}, {size} and {n}; OUT may be a URL, such as
    s3://bucket/{content}.png. What is there is not painted again; the same command goes on where it was interrupted.
    See docs/scaling.md.
    """
    task_options.check_like(context, options)
    executor_options.check(options)
    tasks, ledger, found = _prepare(photos, styles, context, options)
    notes_display.Notes(quiet=options["quiet"]).about(
        f"{printable(each.text)}: {each.describe_rest()}" for each in found if each.left_out
    )
    problems = [problem for each in found for problem in each.problems]
    for problem in problems:
        click.echo(f"impasto: {problem}; what is in there is left out", err=True)
    paint.set_threads()
    from impasto.batches.batch import Batch, measure_inputs, shard_of, with_digests  # imports torch

    measures = measure_inputs(tasks)
    if options["shard"]:
        tasks = shard_of(tasks, measures, *options["shard"])
    tasks = [with_digests(task, measures) for task in tasks]
    pending = Batch(tasks, ledger, force=options["force"], only_failed=options["retry_failed"])
    _paint(pending, measures, options, is_whole=not problems)


def _prepare(
    photos: str, styles: Sequence[str], context: click.Context, options: Options
) -> tuple[list[Task], "BatchLog", list[Found]]:
    """Return the tasks of a command, the log, and what was found in folders and by globs."""
    from impasto.batches.log import BatchLog
    from impasto.batches.own import OwnFiles

    if STREAM in (photos, *styles):
        raise UsageError("a batch reads files, not standard input; name a folder, a glob or a list")
    lines = manifest.read(photos) if manifest.is_manifest(photos) else None
    found = [inputs.find(text) for text in (*([photos] if lines is None else []), *styles)]
    while True:
        items = _items(lines, found, blend=options["blend"])
        tasks = [_task(item, number, context, options) for number, item in enumerate(items, 1)]
        ledger = BatchLog(_log_path(tasks, options), options["shard"])
        candidates = {path: each.is_search for each in found for path in each.paths}
        if lines is None and not found[0].is_search:
            # The photo that is asked for by its name is one, whatever painted it.
            del candidates[found[0].paths[0]]
        own = OwnFiles(tasks, ledger, force=options["force"]).among(candidates)
        if not own:
            _check(tasks, items, os.fspath(ledger.path), [] if lines is None else [photos])
            return tasks, ledger, found
        # Once more: what is numbered and blended depends on what there is.
        found = [each.without(own) for each in found]


def _items(lines: Sequence[Item] | None, found: Sequence[Found], *, blend: bool) -> list[Item]:
    """Return the lines of a list with their styles; without a list, the photos with theirs."""
    paths = [path for each in (found if lines is not None else found[1:]) for path in each.paths]
    if lines is None:
        # The last style of all may have been left out too.
        for each in found[:1] if paths else found:
            each.require_pictures()
        return inputs.make_items(found[0].paths, paths, blend=blend)
    combinations = [tuple(paths)] if blend or len(paths) < 2 else [(style,) for style in paths]
    valid = []
    for item in lines:
        if not item.styles and not paths:
            raise UsageError(f"{item.where}: names no style; add style, or give one on the command line")
        base = tuple(batch_rows.join_path(item.base, style) for style in item.styles)
        content = batch_rows.join_path(item.base, item.content)
        for some in [base] if base else combinations:
            valid.append(dataclasses.replace(item, content=content, styles=some))
    return valid


def _task(item: Item, number: int, context: click.Context, options: Options) -> Task:
    """Return the task of a line, or of a photo with its styles."""
    item_options = batch_rows.options_for(item, context, options)
    try:
        resolved = task_options.resolve_recipe(item_options)
        recipe = resolved.recipe.name if resolved.memory else str(item_options["recipe_name"])
        values = templates.placeholder_values(item.content, item.styles, recipe, resolved.recipe.size, number)
        template = (
            batch_rows.join_path(item.base, item.output) if item.output else item_options["output"] or templates.DEFAULT
        )
        for name in ("preview", "checkpoint"):
            item_options[name] = item_options[name] and templates.expand(item_options[name], values)
        place = templates.expand(template, values)
        # Asked of the template: the name of a photo makes no URL of a path.
        url = place if is_url(template) else None
        if url is not None and (local := storage.local_path(url)) is not None:
            place, url = local, None
        if url is not None:
            place = str(storage.staging_path(url))
        output = output_options.requested_output(item_options | {"output": place}, templates.DEFAULT)
        if url is not None and (output.proof is not None or output.save_every is not None):
            raise UsageError("--proof and --save-every write beside the picture, and not to a URL; leave them out")
        _check_format(output)
        digests = [_digest(style) for style in item.styles] if resolved.memory else [None] * len(item.styles)
        task = task_options.task(item.content, item.styles, resolved, item_options, output, digests)
    except UsageError as error:
        # A glob's own name is in the message; a line has only its number.
        raise batch_rows.with_row(item, error) if item.base else error from error
    return dataclasses.replace(task, number=number, url=url)


def _digest(path: str) -> str | None:
    with contextlib.suppress(OSError):
        return file_digest(path)
    return None


def _check_format(output: Output) -> None:
    """Refuse an ending or a form that no file can have."""
    if output.path == STREAM:
        raise UsageError("a batch writes files, not standard output; give -o a template such as 'out/{content}.png'")
    check_name(output.path)
    profile = None if output.profile is None else output_profile(output.profile)
    check_options(format_of(output.path), output.bits, output.quality, output.compression, profile)
    if output.proof is not None:
        output_profile(output.proof)


def _check(tasks: Sequence[Task], items: Sequence[Item], ledger: str, read: Sequence[str]) -> None:
    """Refuse tasks that would write to each other's files, to an input or to the list, and a log that would."""
    names = {task.number: f"{item.where}" for task, item in zip(tasks, items, strict=True)}
    inputs = [*dict.fromkeys(path for task in tasks for path in task.inputs.sources), *read]
    files = [("the log", ledger), *_files_of(tasks, names)]
    templates.check_distinct(files, inputs)
    stages = [task.output.stage(0) for task in tasks if task.output.save_every is not None]
    templates.check_stages(map(os.fspath, stages), [*(path for _, path in files), *inputs])
    templates.check_distinct([(names[task.number], task.folder) for task in tasks if task.folder is not None], inputs)
    # Where only some cannot be written, the others are painted.
    folders = dict.fromkeys(Path(task.output.path).parent for task in tasks)
    existing = [nearest_folder(folder) for folder in folders]
    if not any(folder.is_dir() and os.access(folder, os.W_OK) for folder in existing):
        raise OutputError(f"{printable(next(iter(folders)))}: nothing can be written there; choose another output")


def _files_of(tasks: Sequence[Task], names: dict[int, str]) -> Iterator[tuple[str, str]]:
    for task in tasks:
        for path in (task.place, *task.side_files):
            yield names[task.number], path


def _log_path(tasks: Sequence[Task], options: Options) -> Path:
    """Return where the log is: in the folder that holds all outputs; here, where some go elsewhere."""
    from impasto.batches.log import NAME

    if options["log"] is not None:
        return Path(options["log"])
    folders = [os.path.abspath(Path(task.output.path).parent) for task in tasks if task.url is None]  # noqa: PTH100
    return Path((len(folders) == len(tasks) and common_folder(folders)) or ".") / NAME


def _paint(batch: "Batch", measures: "dict[str, Measure]", options: Options, *, is_whole: bool) -> None:
    from impasto.batches.batch import estimate_tasks
    from impasto.cli.display import batch as batch_display
    from impasto.engine.checkpoints import writer

    needs = estimate_tasks(batch.ahead, measures) | batch.problems
    if options["dry_run"]:
        click.echo(batch_display.describe_plan(batch, needs, options))
        return
    # The present values, which workers take from their tasks.
    batch.ahead = [dataclasses.replace(task, every=writer.INTERVAL, over=checkpoint_paths.LONG) for task in batch.ahead]
    display = batch_display.BatchDisplay(batch, measures, options)
    notes = notes_display.Notes(quiet=options["quiet"])
    executor = executor_options.make_executor(options, batch.ahead, needs, notes) if batch.ahead else None
    _run(batch, executor, display, is_whole=is_whole)


def _run(batch: "Batch", executor: "Executor | None", display: "BatchDisplay", *, is_whole: bool) -> None:
    """Paint the missing pictures, or those up to the first signal to stop.

    Exits with 1 where one failed, or where not all folders could be read.

    Raises:
        ImpastoError: the log cannot be written.

    """
    batch.remove_stale_checkpoints()
    number = 0
    if executor is not None:
        answer = Answer(executor.stop)
        try:
            with signals(answer, Stop.NUMBERS), executor:
                display.show(batch.run(executor))
            number = answer.number
        except Interrupted as again:
            number = again.number
    display.end(stopped=bool(number))
    failed = any(outcome.status == "failed" for _, outcome in display.outcomes)
    if number:
        has_checkpoints = all(outcome.kept for _, outcome in display.outcomes if outcome.status == "stopped")
        click.echo("impasto: interrupted; the same command goes on", err=True)
        sys.exit(0 if number == CHECKPOINT and has_checkpoints else 128 + number)
    sys.exit(1 if failed or not is_whole else 0)
