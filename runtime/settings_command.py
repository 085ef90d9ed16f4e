"""`govsense settings`: every setting as a documented TOML file."""

from __future__ import annotations

import argparse
import json

from runtime.settings import Settings, meanings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments: the output is itself a settings file."""
    parser.epilog = """examples:
  govsense settings                    what is in force now
  govsense settings > govsense.toml    a file to edit
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the settings in force, each with its meaning."""
    section = ""
    for name, (_, meaning) in meanings().items():
        here, key = name.split(".")
        if here != section:
            print(f"{chr(10) if section else ''}[{here}]")
            section = here
        value = getattr(getattr(settings, here), key)
        print(f"# {meaning}\n{key} = {json.dumps(value, ensure_ascii=False)}")
    return 0
