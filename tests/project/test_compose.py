"""The Compose file and the image: what can be said of them without a container engine."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.cli import build_parser
from runtime.settings import load, meanings
from storage.influx.credentials import READER, WRITER
from tests.project.broker import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()

each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def test_the_services_are_the_documented_ones() -> None:
    """Three servers, ingest and API run; one service prepares InfluxDB and ends. All by default."""
    servers = {"mosquitto", "influxdb", "postgresql"}
    assert SERVICES.keys() == servers | {"influx-init", "ingest", "api"}
    assert not any(service.get("profiles") for service in SERVICES.values())
    assert SERVICES["influx-init"]["restart"] == "no"


@each_service
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    """No root, no capabilities, no way to get any, and nothing to write to but its volumes."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"cap_add", "privileged", "devices", "pid", "ipc"}
    if "build" not in service:  # our own image names its user
        assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", service["user"])


def test_nobody_gets_a_credential_that_is_not_theirs() -> None:
    """The API cannot write telemetry; only init and the server hold InfluxDB's administrator."""
    holders: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        secrets = [s if isinstance(s, str) else s["source"] for s in service.get("secrets", [])]
        volumes = [v.split(":")[0] for v in service.get("volumes", [])]
        for held in [*secrets, *(v for v in volumes if v.startswith("influx-"))]:
            holders.setdefault(held, set()).add(name)
    assert holders == {
        "mosquitto_passwords": {"mosquitto"},
        "mqtt_ingest_password": {"ingest"},
        "postgres_password": {"postgresql"},
        "ledger_password": {"postgresql", "ingest", "api"},
        "influxdb_password": {"influxdb"},
        "influxdb_token": {"influxdb", "influx-init"},
        "influx-writer": {"influx-init", "ingest"},
        "influx-reader": {"influx-init", "ingest", "api"},
    }
    for name in ("ingest", "api"):
        volumes = SERVICES[name]["volumes"]
        assert all(v.endswith(":ro") for v in volumes if v.startswith("influx-"))


def test_the_credentials_are_where_init_puts_them() -> None:
    """What init makes is what ingest and API read; the image gives its user those directories."""
    (directory,) = [
        SERVICES["influx-init"]["command"][n + 1]
        for n, word in enumerate(SERVICES["influx-init"]["command"])
        if word == "--credentials"
    ]
    for name in ("ingest", "api"):
        environment = SERVICES[name]["environment"]
        assert environment["GOVSENSE_INFLUX__READ_TOKEN_FILE"] == f"{directory}/{READER}"
    written = SERVICES["ingest"]["environment"]["GOVSENSE_INFLUX__WRITE_TOKEN_FILE"]
    assert written == f"{directory}/{WRITER}"
    assert "GOVSENSE_INFLUX__WRITE_TOKEN_FILE" not in SERVICES["api"]["environment"]
    made = re.search(r"install -d -o govsense -m 700 (.*)", DOCKERFILE)
    assert made is not None
    assert made[1].split() == [f"{directory}/{Path(file).parent}" for file in (WRITER, READER)]


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"influx-init"}))
def test_a_service_is_watched_and_restarted(name: str) -> None:
    """Every service has a bounded health check and comes back by itself."""
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert len(check["test"]) > 1
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()
    assert SERVICES[name]["restart"] == "unless-stopped"


@each_service
def test_a_service_listens_on_this_machine_only(name: str) -> None:
    """Unless the operator sets a variable, every published port is bound to 127.0.0.1."""
    for port in SERVICES[name].get("ports", []):
        assert isinstance(port, str)
        assert re.sub(r"\$\{\w+:-(.*?)}", r"\1", port).startswith("127.0.0.1:")
    assert "network_mode" not in SERVICES[name]
    assert not SERVICES[name].get("privileged")


@each_service
def test_an_image_is_pinned(name: str) -> None:
    """Images name an exact version; our own is that of the project."""
    image, tag = SERVICES[name]["image"].rsplit(":", 1)
    assert re.match(r"\d+\.\d+", tag)
    if "build" in SERVICES[name]:
        assert (image, tag) == ("govsense", PROJECT["project"]["version"])
    else:
        assert image in {"eclipse-mosquitto", "influxdb", "postgres"}


@each_service
def test_a_secret_is_a_file(name: str) -> None:
    """No value in the environment is a secret: what needs one names a file of a mounted secret."""
    mounted = {
        f"/run/secrets/{secret}"
        for secret in SERVICES[name].get("secrets", [])
        if isinstance(secret, str)
    }
    volumes = {volume.split(":")[1] for volume in SERVICES[name].get("volumes", [])}
    for key, value in SERVICES[name].get("environment", {}).items():
        assert not re.search(r"//[^/]*:[^/]*@", str(value)), f"{key} holds a password in a URL"
        if re.search("PASSWORD|TOKEN|SECRET|KEY", key):
            assert key.endswith("_FILE"), f"{key} holds a secret in plain"
            assert value in mounted or str(Path(value).parent) in volumes, f"{key}: {value}?"


def test_make_secrets_makes_every_secret_once(tmp_path: Path) -> None:
    """The script writes each declared file, closed to others, and keeps what is there."""
    declared = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    directories = {Path(secret["file"]).parent for secret in COMPOSE["secrets"].values()}
    assert directories == {Path("deploy/secrets")}
    used = [
        secret["source"] if isinstance(secret, dict) else secret
        for service in SERVICES.values()
        for secret in service.get("secrets", [])
    ]
    assert set(used) == COMPOSE["secrets"].keys()
    first = make_secrets(tmp_path / "secrets")
    assert first.keys() == declared
    assert all(len(text.strip()) >= 32 for text in first.values())
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert make_secrets(tmp_path / "secrets") == first
    assert make_secrets(tmp_path / "others") != first


def make_secrets(directory: Path) -> dict[str, str]:
    """What the script has written into a directory."""
    subprocess.run([ROOT / "scripts/make-secrets", directory], check=True, capture_output=True)
    return {file.name: file.read_text() for file in directory.iterdir()}


def test_secrets_stay_out_of_git() -> None:
    """Git ignores everything in the directory of secrets."""
    assert (ROOT / "deploy/secrets/.gitignore").read_text() == "*\n!.gitignore\n"


@each_service
def test_what_a_service_mounts_and_waits_for_exists(name: str) -> None:
    """Volumes are declared or in the repository, and dependencies are services."""
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        assert (ROOT / source).is_dir() if source.startswith(".") else source in COMPOSE["volumes"]
    assert SERVICES[name].get("depends_on", {}).keys() <= SERVICES.keys()


@pytest.mark.parametrize("name", ["ingest", "api", "influx-init"])
def test_our_commands_and_settings_are_real(name: str) -> None:
    """The command, the health check and every setting of our services are known to govsense."""
    service = SERVICES[name]
    command = service["command"][0]
    assert build_parser(command).parse_args(service["command"]).command == command
    if "healthcheck" in service:
        marker, program, *check = service["healthcheck"]["test"]
        assert (marker, program) == ("CMD", "govsense")
        assert build_parser("health").parse_args(check).process == name
    environment = {key: str(value) for key, value in service.get("environment", {}).items()}
    ours = [key for key in environment if key.startswith("GOVSENSE_")]
    known = {f"GOVSENSE_{key.upper().replace('.', '__')}" for key in meanings()}
    assert set(ours) <= known
    load(environ=environment)


def test_the_image_is_built_from_what_is_there() -> None:
    """The Dockerfile copies every package, nothing that is missing, and pins base and libraries."""
    copied = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.M)
    sources = {source for line in copied for source in shlex.split(line)[:-1]}
    assert all((ROOT / source).exists() for source in sources)
    packages = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {package.rstrip("*") for package in packages} <= sources
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base) for base in bases)
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    assert re.search(r"^USER govsense$", DOCKERFILE, re.M)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == sources


def test_the_image_holds_all_that_govsense_needs(tmp_path: Path) -> None:
    """Installed as the Dockerfile does it, away from this tree, every command can be loaded."""
    source = tmp_path / "source"
    copied = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.M)
    for name in {name for line in copied for name in shlex.split(line)[:-1]}:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", ROOT / name, target], check=True)
    installed = tmp_path / "installed"
    pip = "-m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation"
    subprocess.run(
        [sys.executable, *pip.split(), "--target", installed, source], check=True, cwd=tmp_path
    )
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from runtime import cli;"
        "assert cli.__file__.startswith(sys.argv[1]), cli.__file__; cli.build_parser()"
    )
    subprocess.run([sys.executable, "-I", "-c", code, installed], check=True, cwd=tmp_path)
    ours = {p.relative_to(installed) for p in installed.rglob("*") if p.suffix != ".pyc"}
    for package in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]:
        top = ROOT / package.rstrip("*")
        data = {p.relative_to(ROOT) for p in top.rglob("*.*") if "__pycache__" not in p.parts}
        assert data <= ours, f"not in the image: {sorted(map(str, data - ours))}"
