"""The whole pipeline in minutes, on a CPU: data, pre-training, O-KNN, pictures, a report.

    mmdssl demo --work-dir work_dirs/demo

1. writes multi-object scenes (1500 training and 350 validation images of 96 px);
2. pre-trains DenseCL-D, a small ResNet, and beside it, on the other core, its plain partner;
   measures O-KNN on the way;
3. draws what was trained on, how it went and what the features see;
4. prints a table and writes ``metrics.json`` and ``report.html``.

Interrupted, the same command resumes where it stopped.
"""

import argparse
import copy
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmdssl.cli.arguments import failed
from mmdssl.core.shipped import find_config
from mmdssl.engine.command_line import CommandLine
from mmdssl.studies.demo import scores, train

CONFIG = 'densecl-d_r18w16-64px_1xb32-150i_scenes.py'


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/demo'), help='folder of the run'
    )
    parser.add_argument(
        '--data-root', type=Path, default=Path('data/demo'), help='folder of the scenes'
    )
    parser.add_argument('--images', type=int, default=1500, help='training scenes (1500)')
    parser.add_argument('--val-images', type=int, default=350, help='validation scenes (350)')
    parser.add_argument('--iters', type=int, help="iterations (the config's: 150)")
    parser.add_argument('--seed', type=int, default=0, help='of scenes and training (0)')
    parser.add_argument('--config', type=Path, default=CONFIG, help='a config of configs/scenes')
    parser.add_argument('--no-partner', action='store_true', help='train --config alone')
    parser.add_argument('--train-only', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument('--fresh', action='store_true', help='forget an earlier run in --work-dir')
    options = parser.parse_args(argv)
    for name in ('images', 'val_images', 'iters'):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f'--{name.replace("_", "-")} {value} must be at least 1')
    if options.seed < 0:
        parser.error(f'--seed {options.seed} must not be negative')
    return options


def partner_of(config: Path) -> Path | None:
    """The same method without the branch: ``densecl_...`` for ``densecl-d_...``; None without."""
    config = find_config(config)
    plain = config.with_name(config.name.replace('-d_', '_', 1))
    return plain if plain != config and plain.is_file() else None


def make_data(options: argparse.Namespace) -> None:
    """Write the scenes, or what is missing of them."""
    from mmdssl.datasets.scenes import PRESETS, SceneSpec, write_scenes

    write_scenes(
        options.data_root,
        SceneSpec(**{**PRESETS['demo'], 'seed': options.seed}),
        images=options.images,
        val_images=options.val_images,
        workers=os.cpu_count() or 1,
    )


def make_config(options: argparse.Namespace) -> Any:
    """The config with the demo's data, length and folder.

    Raises:
        ValueError: If the config does not read scenes, or counts epochs.
    """
    from mmdssl.core.newest import checkpoints_of
    from mmdssl.engine.config import load_config

    config = load_config(options.config, {'data_root': str(options.data_root)})
    published = config.get('train_cfg', {}).get('max_iters')
    if published is None or 'scenes' not in options.config.stem:
        raise ValueError(f'{options.config}: the demo runs configs of configs/scenes only')
    iterations = options.iters or published
    config.work_dir = str(options.work_dir)
    config.resume = not options.fresh and bool(checkpoints_of(options.work_dir))
    config.train_cfg.max_iters = iterations
    config.randomness = {**config.get('randomness', {}), 'seed': options.seed}
    for scheduler in config.param_scheduler:
        scheduler.end = iterations
        scheduler.warmup_iters = scheduler.get('warmup_iters', 0) * iterations // published
    for hook in [*config.custom_hooks, *config.default_hooks.values()]:
        if hook and 'interval' in hook:
            hook.interval = max(1, hook.interval * iterations // published)
    return config


@contextmanager
def partner(options: argparse.Namespace) -> Iterator[Path | None]:
    """Train the plain partner in a process of its own while the block runs.

    Gives its folder, None without one.
    """
    from mmdssl.engine.beside import process_beside

    plain = None if options.no_partner else partner_of(options.config)
    if plain is None:
        yield None
        return
    folder = options.work_dir / 'plain'
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, '-m', 'mmdssl', 'demo', '--train-only', '--config', str(plain)]
    command += ['--work-dir', str(folder), '--data-root', str(options.data_root)]
    for name in ('images', 'val_images', 'iters', 'seed'):
        if getattr(options, name) is not None:
            command += [f'--{name.replace("_", "-")}', str(getattr(options, name))]
    command += ['--fresh'] if options.fresh else []
    with process_beside(command, folder / 'console.txt', OMP_NUM_THREADS='1'):
        yield folder


def draw(config: Any, runner: Any, out: Path, plain: Path | None) -> dict[str, Path]:
    """All pictures, by name."""
    from mmdssl.core.reading import load_checkpoint_file
    from mmdssl.visualization.run_pictures import draw_batches, draw_features, draw_progress

    files = draw_batches(config, out)
    files['curves'] = draw_progress(out, out, plain=plain)
    trained = runner.model.get_backbone()
    untrained = copy.deepcopy(trained)
    untrained.load_state_dict(load_checkpoint_file(out / 'initial_backbone.pth'))
    networks = {'untrained\nnet': untrained, 'pre-trained\nnet': trained}
    # As in the paper: twice the side of the training views (448 to 224).
    side = 2 * view_side(config)
    files['affinity'] = draw_features(
        config, networks, runner.model.data_preprocessor, out, size=side
    )
    return files


def view_side(config: Any) -> int:
    """Pixels of a training view."""
    from mmdssl.visualization.preview import training_batches

    return next(training_batches(config, 1)).data['inputs']['views'][0][0].shape[-1]


def remember(options: argparse.Namespace) -> None:
    """Note the settings in the working folder; refuse to go on with a run of others.

    Raises:
        ValueError: If the folder holds a run with other settings.
    """
    from mmdssl.core.checkpointing import atomic_text

    file = options.work_dir / 'demo.json'
    names = ('images', 'val_images', 'iters', 'seed')
    settings = {'config': options.config.stem, **{name: getattr(options, name) for name in names}}
    if file.exists() and not options.fresh:
        earlier = json.loads(file.read_text())
        if earlier != settings:
            raise ValueError(
                f'{options.work_dir} holds a run with other settings ({earlier}): add --fresh to '
                'replace it, or give another --work-dir'
            )
    atomic_text(json.dumps(settings) + '\n', file)


def settle(options: argparse.Namespace) -> Any:
    """The config of a run whose folder is ready for it."""
    from mmdssl.engine.run_folder import clear_folder, held_folder

    remember(options)
    config = make_config(options)
    if options.fresh:
        with held_folder(options.work_dir):
            clear_folder(config)
    return config


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All steps; gives the content of ``metrics.json`` back."""
    import torch
    from rich.console import Console

    console = Console(highlight=False)
    seconds: dict[str, float] = {}
    out = options.work_dir

    @contextmanager
    def step(number: int, name: str, title: str) -> Iterator[None]:
        console.rule(f'{number}/4  {title}', align='left')
        begin = time.perf_counter()
        yield
        seconds[name] = round(time.perf_counter() - begin, 1)

    with step(1, 'data', f'scenes: {options.images} + {options.val_images} images'):
        make_data(options)
    with step(2, 'training', 'pre-training, with O-KNN on the way'):
        config = settle(options)
        with partner(options) as plain:
            if plain is not None:
                torch.set_num_threads(1)
                console.print(f'the plain partner trains beside it: {plain}/console.txt')
            runner = train(config)
    with step(3, 'pictures', 'pictures'):
        pictures = draw(config, runner, out, plain)
    with step(4, 'report', 'report'):
        measured = report(options, config, runner, pictures, seconds, plain)
    from mmdssl.visualization.demo_report import console_table, in_words

    console.print(console_table(measured))
    for text in in_words(measured):
        console.print(text)
    took = ', '.join(f'{name} {value:.0f} s' for name, value in seconds.items())
    console.print(f'took {sum(seconds.values()):.0f} s: {took}')
    console.print(f'{out}/report.html shows everything; {out}/metrics.json holds the numbers')
    return measured


def report(
    options: argparse.Namespace,
    config: Any,
    runner: Any,
    pictures: dict[str, Path],
    seconds: dict[str, float],
    plain: Path | None,
) -> dict[str, Any]:
    """Write ``metrics.json`` and ``report.html``."""
    from mmdssl.core.checkpointing import atomic_text
    from mmdssl.visualization.demo_report import write_demo_report
    from mmdssl.visualization.report import hardware, versions

    backbone = runner.model.backbone
    weights = sum(parameter.numel() for parameter in backbone.parameters())
    measured = {
        'config': options.config.stem,
        'seed': options.seed,
        'images': options.images,
        'iterations': runner.iter,
        **scores(options.work_dir),
        **({} if plain is None else {'plain': scores(plain)['pretrained']}),
        'seconds_of_this_start': dict(seconds),
        'hardware': hardware(),
        'versions': versions(),
    }
    atomic_text(json.dumps(measured, indent=2) + '\n', options.work_dir / 'metrics.json')
    took = ', '.join(f'{name} {value:.0f} s' for name, value in seconds.items())
    write_demo_report(
        options.work_dir / 'report.html',
        measured=measured,
        pictures=pictures,
        facts={
            'Images': f'{options.images} scenes for training, {options.val_images} for validation',
            'Network': f'{type(backbone).__name__}, {weights / 1e6:.2f} million parameters',
            'Training': f'{runner.iter} iterations of {config.train_dataloader.batch_size} images, '
            f'two views of {view_side(config)} px',
            'Time of this start': took,
        },
        config_text=config.pretty_text,
    )
    return measured


def main(argv: list[str] | None = None) -> int:
    """Run the demo; 0, 2 where it cannot be done, 130 where interrupted."""
    options = parse_arguments(argv)
    # Threads of torch that wait must not keep a core from the data loader; read when torch loads.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    try:
        if options.train_only:
            train(settle(options))
        else:
            run(options)
    except (ValueError, OSError) as error:
        return failed(error)
    except (KeyboardInterrupt, SystemExit):  # the latter: training stopped by a signal
        print('interrupted: the same command resumes where it stopped', file=sys.stderr)
        return 130
    return 0
