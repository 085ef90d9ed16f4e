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
from tests.project.broker import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()

each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def test_the_services_are_the_documented_ones() -> None:
    """Mosquitto, ingest and API start by default; the servers of later wait in a profile."""
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}
    servers = {"influxdb": ["servers"], "postgresql": ["servers"]}
    assert profiles == {"mosquitto": [], "ingest": [], "api": [], **servers}


@each_service
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
    for key, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|TOKEN|SECRET|KEY", key):
            assert key.endswith("_FILE"), f"{key} holds a secret in plain"
            assert value in mounted, f"{key} names {value}, which is not mounted"


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


@pytest.mark.parametrize("name", ["ingest", "api"])
def test_our_commands_and_settings_are_real(name: str) -> None:
    """The command, the health check and every setting of our services are known to govsense."""
    service = SERVICES[name]
    assert build_parser(name).parse_args(service["command"]).command == name
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
