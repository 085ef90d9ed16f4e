"""The command line: finds the command, reads the settings, runs it."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from dataclasses import replace
from pathlib import Path

from runtime import settings as settings_file

COMMANDS = {  # name: (module, what it does)
    "up": ("runtime.up_command", "run the whole platform on this machine"),
    "ingest": ("ingest.command", "receive, store and judge what devices publish"),
    "api": ("api.command", "answer dashboards and agencies over HTTP"),
    "simulate": ("simulators.command", "play a country of devices, or a recorded series"),
    "evaluate": ("simulators.evaluate_command", "score detection against the truth of a world"),
    "probe": ("devices.probe.command", "measure this office's connectivity and publish it"),
    "registry": ("storage.registry_command", "import, export or sample sites and devices"),
    "keys": ("storage.keys_command", "make, list, rotate and revoke the keys of the API"),
    "audit": ("storage.audit_command", "check that the audit is whole, or show its newest rows"),
    "influx": ("storage.influx_command", "make an InfluxDB ready for telemetry"),
    "quarantine": ("ingest.quarantine_command", "list what was refused, and replay it after a fix"),
    "capture": ("ingest.capture_command", "record what devices publish at a broker in a file"),
    "replay": ("ingest.replay_command", "judge a recorded capture in virtual time"),
    "report": ("runtime.report_command", "issue connectivity reports, and verify one offline"),
    "backup": ("runtime.backup_command", "save the embedded stores while the platform runs"),
    "restore": ("runtime.restore_command", "check a backup and put it back"),
    "doctor": ("runtime.doctor_command", "try what the platform needs, and say what is wrong"),
    "health": ("runtime.health_command", "tell whether ingest or the API is alive"),
    "settings": ("runtime.settings_command", "print every setting with its meaning and value"),
}

EPILOG = """examples:
  govsense up --simulate          the platform with a simulated country, on this machine
  govsense registry import DIR    register sites.csv and devices.csv
  govsense settings               every setting, its meaning and its value
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command; its exit code. 2 where the call or the settings are wrong."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = build_parser(next((a for a in arguments if a in COMMANDS), None))
    args = parser.parse_args(arguments)
    if args.command is None:
        parser.print_help()
        return 2
    try:
        settings = settings_file.load(args.settings)
        if args.data_dir:
            platform = replace(settings.platform, data_dir=str(args.data_dir))
            settings = replace(settings, platform=platform)
        return int(importlib.import_module(COMMANDS[args.command][0]).run(args, settings))
    except settings_file.SettingsError as exc:
        print(f"govsense: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone: `govsense settings | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser of every command, or, to start quickly, with the arguments of one only."""
    parser = argparse.ArgumentParser(
        prog="govsense",
        description="Sensor platform for governments.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_common(parser, default=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if only in (None, name):
            importlib.import_module(module).add_arguments(command)
            # SUPPRESS: where it is not given here, what was given before the command stays.
            _add_common(command, default=argparse.SUPPRESS)
    return parser


def _add_common(parser: argparse.ArgumentParser, *, default: object) -> None:
    """Options that are taken before and after the command, so that ./run takes them too."""
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", default=default,
        help="TOML file (default: ./govsense.toml)",
    )  # fmt: skip
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", default=default,
        help="overrides platform.data_dir",
    )  # fmt: skip
