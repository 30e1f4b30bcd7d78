"""Pre-train a backbone on a folder of images.

    mmdssl pretrain ibot-d data=PHOTOS out=run
    mmdssl pretrain ibot-d data=PHOTOS out=run epochs=100 batch=64 backbone=resnet50 ...
    mmdssl pretrain ibot-d data=PHOTOS out=run dry_run=true     # what it would take
    mmdssl pretrain ibot-d data=PHOTOS out=run resume=true      # resume it
    mmdssl pretrain CONFIG.py out=run model.decoupling.weight=0.2
    mmdssl pretrain ibot-d init=dinov2_vits14_pretrain.pth data=PHOTOS out=run    # continue it

Everything that depends on data and machine is decided, and told with its reason; what is typed is
what is done. Several GPUs: torchrun --nproc-per-node 8 -m mmdssl pretrain ...
"""

import json
import os
import sys
import textwrap
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdssl.engine.command_line import Typed

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmdssl.engine.dry_run import DryRunReport
    from mmdssl.engine.pretraining.request import Request

__all__ = ['main', 'pretrain']

#: What was asked for and decided, in the folder of a run.
RECORD = 'pretrain.json'


def pretrain(
    method: str, *, data: str | Path | None = None, out: str | Path, **options: Any
) -> 'Path | DryRunReport':
    """Pre-train a backbone on a folder of images.

    Args:
        method: ``'ibot'``, ``'ibot-d'``, ``'densecl'``, ``'soco-d'``, ...: a method that has
            configs in this package, or a config file.
        data: Folder of images, searched with its sub-folders; no labels are needed. A config file
            may name its own.
        out: Folder of the run: checkpoints, log, the resolved config ``config.py``.
        **options: Those of ``mmdssl pretrain`` (``epochs``, ``batch``, ``lr``, ``backbone``,
            ``resume``, ``dry_run``, ...: :data:`mmdssl.engine.pretraining.request.OPTIONS`), and
            entries of the config: ``**{'views.size': 128, 'model.decoupling.weight': 0.2}``.

    Returns:
        The last checkpoint, which :func:`mmdssl.load_backbone` reads; of a dry run what it found.

    Raises:
        FileNotFoundError: If a file or folder is missing.
        ValueError: If something asked for makes no sense.
    """
    from mmdssl.engine.pretraining.request import read_request

    return _run(read_request(method, dict(data=data, out=out, **options)))


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0, or 2 with one sentence for a mistake."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if not given or given[0] in ('-h', '--help', 'help'):
        print(_help())
        return 0
    from mmdssl.engine.launch import readable_errors
    from mmdssl.engine.pretraining.request import read_request

    with readable_errors():
        request = read_request(given[0], _typed(given[1:]))
        report = _run(request, typed=True)
        if request.dry_run and report is not None:
            print(f'\n{report}')
    return 0


def _typed(arguments: list[str]) -> dict[str, Typed]:
    """``key=value`` arguments, their characters as they were typed.

    Raises:
        ValueError: If one is not of that form, empty, or there twice.
    """
    values: dict[str, Typed] = {}
    for argument in arguments:
        key, equals, value = argument.partition('=')
        key = key.strip()
        if not equals or not key or key.startswith('-'):
            raise ValueError(
                f'{argument!r} is not KEY=VALUE, as in epochs=100; a value with spaces needs '
                'quotes around the whole: "data=my photos"'
            )
        if not value.strip():
            raise ValueError(f'{key} is empty: is a variable not set?')
        if key in values:
            raise ValueError(f'{key} is given twice: leave one of them out')
        values[key] = Typed(value)
    return values


def _help() -> str:
    """Usage, options and methods."""
    from mmdssl.engine.pretraining.catalogue import known_methods
    from mmdssl.engine.pretraining.request import OPTIONS

    options = '\n'.join(f'  {name:<11} {text}' for name, text in OPTIONS.items())
    listed = textwrap.fill(
        ', '.join(known_methods()),
        88,
        initial_indent='  ',
        subsequent_indent='  ',
        break_on_hyphens=False,
    )
    return (
        f'{(__doc__ or "").strip()}\n\nMethods:\n{listed}\n\nOptions, as KEY=VALUE:\n{options}\n'
        '  any entry of the config, e.g. model.momentum="(0.99, 1.0)"'
    )


def _run(request: 'Request', *, typed: bool = False) -> Any:
    """Resolve, tell, and rehearse or train.

    Args:
        request: What is asked for.
        typed: On a command line: mistakes that show while it trains end the process.
    """
    from mmengine.config import Config
    from mmengine.dist import is_distributed, is_main_process

    from mmdssl.core.agreement import of_main_process
    from mmdssl.core.newest import newest_checkpoint
    from mmdssl.engine.dry_run import dry_run
    from mmdssl.engine.hooks.checkpoint import train_and_keep
    from mmdssl.engine.launch import build_runner, leave_process_group, prepare_config, train
    from mmdssl.engine.pretraining.machine import launcher_here
    from mmdssl.engine.run_folder import check_folder, clear_folder, held_folder, template_of

    assert request.out is not None
    launcher = request.launcher or launcher_here()
    _connect(launcher)
    going_on = request.resume and _recorded(request.out) is not None
    said = of_main_process(lambda: _prepared(request, launcher, going_on=going_on))
    config = Config(said[0], cfg_text='#', filename=said[1])
    if is_main_process():
        print(said[2], flush=True)
    config = prepare_config(
        config,
        work_dir=request.out,
        resume='auto' if going_on else None,
        launcher=launcher,
    )
    if request.dry_run:
        report = dry_run(config)
        leave_process_group()
        return report if is_main_process() else None
    with ExitStack() as stack:
        if launcher == 'none' or is_distributed():
            stack.enter_context(held_folder(config.work_dir))
        check_folder(config, overwrite=request.overwrite)
        runner = build_runner(config)
        if is_main_process():
            if request.overwrite:
                clear_folder(config)
            if not going_on:
                _record(request, config)
        if typed:
            train(runner)
        else:
            train_and_keep(runner)
            leave_process_group(runner)
    found, _ = newest_checkpoint(config.work_dir, template_of(config))
    if typed and int(os.environ.get('RANK') or os.environ.get('SLURM_PROCID') or 0) == 0:
        print(f'the last checkpoint: {found}')
    return found


def _connect(launcher: str) -> None:
    """Let the processes of a run know each other before they decide anything together."""
    import torch
    from mmengine.dist import init_dist, is_distributed

    if launcher == 'none' or is_distributed():
        return
    if torch.cuda.is_available():
        init_dist(launcher)
    elif launcher == 'pytorch':
        torch.distributed.init_process_group('gloo')


def _prepared(request: 'Request', launcher: str, *, going_on: bool) -> tuple[dict, str, str]:
    """The config of the run, its file, and what is said about it."""
    from mmdssl.engine.config import load_config
    from mmdssl.engine.pretraining.machine import Machine
    from mmdssl.engine.pretraining.resolver import CONFIG_NAME, resolve

    assert request.out is not None
    machine = Machine.look(launcher)
    if going_on:
        _check_same(request)
        file = request.out / CONFIG_NAME
        config = load_config(file)
        if request.workers is not None:
            config.train_dataloader.num_workers = request.workers
            config.train_dataloader.persistent_workers = request.workers > 0
            config.efficiency = {**(config.get('efficiency') or {}), 'workers': request.workers}
        text = f'{request.method} goes on with the settings of {file}'
        return config.to_dict(), str(file), text
    _check_folder(request)
    resolved = resolve(request, machine)
    title = f'{request.method} on {machine.title}'
    if machine.processes > 1:
        title += f', {machine.processes} processes'
    kept = '' if request.dry_run else f'; all of this is in {resolved.config.filename}'
    text = f'{title}{kept}:\n{resolved.decisions}'
    return resolved.config.to_dict(), str(resolved.config.filename), text


def _recorded(out: Path) -> dict | None:
    """What the run in a folder was asked to be; None if there is none of this command."""
    from mmdssl.engine.pretraining.resolver import CONFIG_NAME

    try:
        record = json.loads((out / RECORD).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    whole = isinstance(record, dict) and isinstance(record.get('asked'), dict)
    return record['asked'] if whole and (out / CONFIG_NAME).is_file() else None


def _check_same(request: 'Request') -> None:
    """Refuse to go on with a run that was asked to be another one.

    Raises:
        ValueError: If something differs; the sentence names it.
    """
    assert request.out is not None
    before, now = _recorded(request.out) or {}, request.lasting()
    # As JSON keeps them.
    now = json.loads(json.dumps(now))
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            was, wish = before.get(name, 'not given'), now.get(name, 'not given')
            raise ValueError(
                f'the run in {request.out} has {name} {was}, and {wish} is asked for: a resumed '
                'run keeps its settings; repeat the command it was begun with, or give another out'
            )


def _check_folder(request: 'Request') -> None:
    """Refuse to begin where there is a run already, in the words of this command.

    Raises:
        ValueError: If the folder holds a run that this one neither continues nor replaces.
    """
    from mmdssl.engine.run_folder import traces

    assert request.out is not None
    found = traces(request.out)
    if not found or request.overwrite or request.dry_run:
        return
    if request.resume:
        raise ValueError(
            f'{request.out} holds a run ({found[0].name}) that was not begun by this command, or '
            'has lost its config.py: go on with it by the command it was begun with'
        )
    raise ValueError(
        f'{request.out} holds a run ({found[0].name}): add resume=true to go on with it, '
        'overwrite=true to replace it, or give another out'
    )


def _record(request: 'Request', config: 'Config') -> None:
    """Keep the resolved config, and what was asked for, in the folder of the run."""
    from mmdssl.core.checkpointing import atomic_text
    from mmdssl.engine.pretraining.resolver import CONFIG_NAME

    folder = Path(config.work_dir)
    atomic_text(config.pretty_text + '\n', folder / CONFIG_NAME)
    record = dict(method=request.method, asked=request.lasting(), decided=config.decisions)
    atomic_text(json.dumps(record, indent=1) + '\n', folder / RECORD)


if __name__ == '__main__':
    raise SystemExit(main())
