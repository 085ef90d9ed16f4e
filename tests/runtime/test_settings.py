"""Settings: one file, the environment wins, every wrong key or value is named."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from runtime.cli import main
from runtime.clock import clock_from
from runtime.settings import ClockSettings, SettingsError, load, meanings


def written(directory: Path, text: str) -> Path:
    file = directory / "govsense.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A key of the file holds until the environment says otherwise; the rest has its default."""
    file = written(tmp_path, "[mqtt]\nport = 2000\nhost = '10.0.0.1'\n")
    settings = load(file, {"GOVSENSE_MQTT__PORT": "3000"})
    assert (settings.mqtt.host, settings.mqtt.port) == ("10.0.0.1", 3000)
    assert settings.http.port == 8080


def test_every_setting_can_be_given_in_the_environment(tmp_path: Path) -> None:
    """Each documented name works as a variable, with its own default as the value."""
    environment = {
        f"GOVSENSE_{name.upper().replace('.', '__')}": str(default)
        for name, (default, _) in meanings().items()
    }
    assert load(written(tmp_path, ""), environment) == load(written(tmp_path, ""), {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[mqtt]\nprot = 1", "unknown setting mqtt.prot; did you mean mqtt.port"),
        ("[mqqt]\nport = 1", "unknown section 'mqqt'; did you mean mqtt"),
        ("[mqtt]\nport = 'x'", "mqtt.port"),
        ("[mqtt]\nport = 70000", "mqtt.port is 70000; it must be 0 to 65535"),
        ("[clock]\nspeed = 0", "clock.speed is 0.0; it must be above 0"),
        ("[ingest]\njournal_max_mib = 1", "it must be 16 or more"),
        ("port = 1", "unknown section 'port'"),
        ("[mqtt", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    """The error names the key, what was got and what is allowed."""
    with pytest.raises(SettingsError) as error:
        load(written(tmp_path, text), {})
    assert says in str(error.value)


def test_a_variable_with_an_unknown_key_is_an_error(tmp_path: Path) -> None:
    """A mistyped variable is not passed over in silence."""
    with pytest.raises(SettingsError, match=r"GOVSENSE_HTTP__PROT.*http\.port"):
        load(written(tmp_path, ""), {"GOVSENSE_HTTP__PROT": "1"})


def test_a_missing_file_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    """A file that was named must exist."""
    with pytest.raises(SettingsError, match="cannot read the settings file"):
        load(tmp_path / "nothing.toml", {})


def test_the_settings_command_prints_a_file_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `govsense settings` prints is TOML with every key, and loads to the same settings."""
    assert main(["--data-dir", "ຂໍ້ມູນ", "settings"]) == 0
    printed = capsys.readouterr().out
    keys = {f"{s}.{k}" for s, section in tomllib.loads(printed).items() for k in section}
    assert keys == set(meanings())
    assert load(written(tmp_path, printed), {}).data_dir == Path("ຂໍ້ມູນ")


def test_a_wrong_setting_ends_a_command_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line, no traceback."""
    file = written(tmp_path, "[mqtt]\nprot = 1")
    assert main(["--settings", str(file), "settings"]) == 2
    assert capsys.readouterr().err.startswith("govsense: ")


def test_a_fast_clock_is_the_same_in_every_process() -> None:
    """Two clocks of the same settings agree, and run by `speed` from `start`."""
    settings = ClockSettings(start="2026-10-05T00:00:00Z", speed=60.0, origin_ms=1_000_000)
    one, other = clock_from(settings), clock_from(settings)
    assert one.start_ms == 1_791_158_400_000
    assert 0 <= other.now_ms() - one.now_ms() < 60_000
    passed_to_child = one.environment()
    assert passed_to_child["GOVSENSE_CLOCK__ORIGIN_MS"] == "1000000"
    child = clock_from(
        ClockSettings(
            passed_to_child["GOVSENSE_CLOCK__START"],
            float(passed_to_child["GOVSENSE_CLOCK__SPEED"]),
            int(passed_to_child["GOVSENSE_CLOCK__ORIGIN_MS"]),
        )
    )
    assert (child.start_ms, child.speed) == (one.start_ms, one.speed)


@pytest.mark.parametrize("start", ["yesterday", "2026-10-05T00:00:00"])
def test_a_start_that_is_no_instant_is_refused(start: str) -> None:
    """A time needs a zone."""
    with pytest.raises(SettingsError, match=r"clock\.start"):
        clock_from(ClockSettings(start=start))


def test_a_value_of_the_wrong_type_is_named_with_where_it_is_from(tmp_path: Path) -> None:
    """A variable that was exported long ago is hard to find otherwise."""
    wrong = r"environment variable GOVSENSE_HTTP__PORT: http\.port: Expected `int`"
    with pytest.raises(SettingsError, match=wrong):
        load(written(tmp_path, ""), {"GOVSENSE_HTTP__PORT": "abc"})
    with pytest.raises(SettingsError, match=r"\.toml: http\.port: Expected `int`"):
        load(written(tmp_path, "[http]\nport = 'abc'"), {})
