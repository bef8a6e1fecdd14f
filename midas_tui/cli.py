"""`midas-tui`: parse, refuse what is no terminal, paint first, start the engine after."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from midas_tui.web.command import add_options, check_options, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.settings import Settings
    from midas_tui.runtime_protocol import RuntimePort

EPILOG = """examples:
  midas-tui --demo                     a played case: find, promote, live, alarm, kill, and the truth at the end
  midas-tui --replay                   replay the bundled real perpetuals, no key, no network
  midas-tui --replay synthetic --speed 8
                                       replay a market whose truth is known: one signal decays, one flips
  midas-tui --kb ./midas-kb            your pipeline, discovery on the sample
  midas-tui --data live:binance        live bars (needs the extra: pip install 'midas-alpha[live]')
  midas-tui --attach                   the service (midas run) of ./midas-kb; by itself where one holds the base
  midas-tui --replay last              the newest recorded run of the service; `midas runs` lists them
  midas-tui --serve --replay           in a browser, read-only (extra: pip install 'midas-alpha[web]')

keys: 1-6 modes, ? help, : palette, q quit. In a replay: space plays, [ and ] jump between alerts."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="midas-tui",
        description="The Midas terminal.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--kb", metavar="PATH", help="knowledge base (default ./midas-kb)")
    p.add_argument(
        "--data", metavar="SOURCE", help="sample, synthetic[:SEED], a path, store:NAME, live:EXCHANGE, or follow:PATH"
    )
    p.add_argument(
        "--replay",
        nargs="?",
        const="sample",
        metavar="SOURCE",
        help="replay a recording instead of live bars (default: sample), or a recorded run: last, run:ID, run:FOLDER",
    )
    p.add_argument("--synthetic", action="store_true", help="short for --replay synthetic")
    p.add_argument("--demo", action="store_true", help="play a case of two minutes on a made-up market; waits for you")
    p.add_argument("--speed", type=float, default=None, metavar="X", help="replay speed in bars a second (default 4)")
    p.add_argument("--paused", action="store_true", help="start the replay standing still: space plays")
    p.add_argument(
        "--attach",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="be a terminal of the service that holds the base, or of the one at ADDRESS (a socket, ws://127.0.0.1:PORT)",
    )
    p.add_argument("--read-only", action="store_true", help="refuse every action that changes the pipeline")
    p.add_argument("--ascii", action="store_true", help="no characters beyond ASCII")
    p.add_argument("--theme", metavar="NAME", help="midas-dark, midas-light, midas-contrast, or one of Textual's")
    p.add_argument("--config", metavar="FILE", type=Path, help="settings file (default ./midas.toml)")
    p.add_argument(
        "--mode", choices=("live", "pipeline", "discovery", "learnings", "alerts", "book"), help="mode to start in"
    )
    add_options(p)
    p.add_argument("--exit-when-ready", action="store_true", help=argparse.SUPPRESS)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the terminal; returns the exit code."""
    args = parser().parse_args(argv)
    from midas_engine.errors import MidasError

    try:
        check_options(args)
        settings = _settings(args)
        if args.serve:
            return serve(args, settings)
    except MidasError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    served = "TEXTUAL_DRIVER" in os.environ  # --serve talks to the program through pipes
    if not served and not (sys.stdout.isatty() and sys.stdin.isatty()):
        sys.stderr.write("midas-tui needs a terminal. Run `midas-tui --replay` in one, or `midas --help` in a pipe.\n")
        return 2
    return _run(args, settings)


def _settings(args: argparse.Namespace) -> Settings:
    from midas_engine.settings import load_settings

    flags = {
        "kb": args.kb,
        "data": args.data,
        "read_only": True if args.read_only else None,
        "terminal.ascii": True if args.ascii else None,
        "terminal.theme": args.theme,
    }
    # who attaches uses the service of a base, and nothing else of what a file that lies there may ask for
    settings = load_settings(file=args.config, flags=flags, left_out=None if args.attach is None else lambda _: None)
    if settings.terminal.keys:
        from midas_tui.keymap import check_keys

        check_keys(settings.terminal.keys)
    return settings


def _run(args: argparse.Namespace, settings: Settings) -> int:
    import gc
    import signal
    from contextlib import ExitStack

    gc.disable()  # nothing that is imported is garbage; the app collects again from its first picture on
    from midas_engine.clock import WallClock
    from midas_tui.app import DEMO_WANTED, MidasApp
    from midas_tui.kept import Kept
    from midas_tui.sweeper import Sweeper
    from midas_tui.user_files import state_folder

    replay = "synthetic" if args.synthetic else args.replay
    with ExitStack() as held:
        held.callback(gc.enable)

        def make_runtime() -> RuntimePort:
            if args.demo:
                from midas_engine.alive import Scratch
                from midas_engine.demo.played import PlayedRuntime

                return PlayedRuntime(settings, held.enter_context(Scratch("demo")))
            from midas_tui.attach import attached_runtime, recorded_runtime

            if replay == "last" or (replay or "").startswith("run:"):
                name = (replay or "").removeprefix("run:")
                return recorded_runtime(settings, name, speed=args.speed, play=not args.paused)
            # Who names data of his own wants an engine on it, whoever holds the base.
            own = replay is not None or (args.attach is None and args.data is not None)
            attached = None if own else attached_runtime(settings, args.attach)
            if attached is not None:
                return attached
            from midas_engine.runtime import Runtime

            return Runtime(settings, replay=replay, speed=args.speed, play=not args.paused)

        # Nothing is there and nothing was asked for: a newcomer is asked what to look at.
        asked = args.demo or replay or args.exit_when_ready or args.mode or args.attach is not None
        newcomer = not asked and not settings.kb_path.is_dir()
        kept = Kept(folder / "terminal.json" if (folder := state_folder()) is not None else None)
        if args.theme:
            kept.keep("theme", args.theme)  # a choice as any other: it stands at the next start
        sweeper = held.enter_context(Sweeper(lambda: app.shell.door.idle_seconds(), WallClock()))
        app = MidasApp(
            make_runtime,
            settings,
            mode=args.mode or "live",
            exit_when_ready=args.exit_when_ready,
            when_ready=sweeper.begin,
            welcome=newcomer and settings.data == "sample",
            kept=kept,
        )
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Leaving through the app restores the terminal and stops the engine in order.
            signal.signal(number, lambda received, _: app.exit(128 + received))
        code = app.run()
    if code == DEMO_WANTED:
        args.demo = True
        return _run(args, settings)
    # A crash leaves no result, but a return code.
    return int(code) if code is not None else int(app.return_code or 0)


if __name__ == "__main__":
    sys.exit(main())
