"""What somebody new gets wrong at the command line is answered with what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.cli import main


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("keys", "create|list|rotate|revoke"),
        ("keys create", "--name"),
        ("keys create --name x --role root", "'viewer', 'operator'"),
        ("keys create --name x --province LA-XX", "'LA-LP'"),
        ("keys revoke nobody", "`govsense keys list` shows them"),
        ("audit", "verify|list"),
        ("audit list --limit 0", "a number from 1 to"),
        ("audit list --limit x", "a number from 1 to"),
        ("audit verify --kept 1", "an earlier `govsense audit verify` prints it"),
        ("report", "issue|verify"),
        ("report issue yesterday", "a month 2026-10"),
        ("report issue 2026-13", "a month 2026-10"),
        ("report issue 2026-10 --province LA-XX", "'LA-LP'"),
        ("report issue 2026-10 --site nowhere", "`govsense registry export DIR` lists them"),
        ("report verify nothing.json", "nothing.json: No such file"),
        ("report verify {here}", "give it as `govsense report issue` or the API wrote it"),
        ("api --port 99999", "is not a port"),
        ("api --host 0.0.0.0", "behind a proxy with TLS"),
    ],
)
def test_a_wrong_call_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], call: str, said: str
) -> None:
    """It fails, and its last line on standard error has the next step."""
    arguments = [part.format(here=__file__) for part in call.split()]
    try:
        code = main(["--data-dir", str(tmp_path), *arguments])
    except SystemExit as exc:
        code = int(exc.code or 0)
    assert code in (1, 2)
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("keys list", "`govsense keys create --name NAME --role admin`"),
        ("audit verify", "the audit has no rows yet"),
    ],
)
def test_an_empty_platform_says_that_it_is_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], call: str, said: str
) -> None:
    """Silence would look like a fault."""
    assert main(["--data-dir", str(tmp_path), *call.split()]) == 0
    assert said in "".join(capsys.readouterr())


@pytest.mark.parametrize("command", ["keys create", "audit verify", "report issue"])
def test_the_help_of_an_action_leads_to_examples(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """The command's help has them; that of its actions says so."""
    name = command.split()[0]
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    assert f"`govsense {name} --help` has examples" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert f"govsense {command}" in capsys.readouterr().out
