"""`govsense evaluate` on files: what it prints, and what it says of files that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.cli import main
from simulators.scorecard.gates import read_gates
from tests.simulators.scorecard.worlds import START, fault

SITES = """site,name_en,name_lo,class,province,district,lat,lon,agency,provider,link_type,\
contracted_down_mbps,contracted_up_mbps,feeder,priority
s1,Office,ຫ້ອງການ,office,LA-LP,luangprabang,19.9,102.1,ministry,LTC,fibre,50,50,F1,normal
"""
DEVICES = """device,site,kind,interval_s,uplink,params
e1,s1,environment,60,1,{}
"""
ALERT = {
    "at": START + 60_000,
    "alert": "a1",
    "state": "firing",
    "device": "e1",
    "site": "s1",
    "metric": "temperature_c",
    "rule": "jump",
    "nature": "data_quality",
    "severity": "warning",
    "event_time": START,
    "value": 85.0,
    "expected": [20, 30],
    "text_en": "",
    "text_lo": "",
    "incident": None,
}
SILENCE = ALERT | {"alert": "a2", "metric": None, "rule": "silence", "at": START + 90_000}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """One office with one sensor, one spike, and one alert that finds it."""
    true = fault("f1", 0, 60_000)
    line = {name: getattr(true, name) for name in true.__struct_fields__}
    line["scope"] = {"type": "device", "id": "e1"}
    message = {"at": START, "topic": "gov/v1/LA-LP/e1/telemetry", "payload": '{"m":{"co2_ppm":1}}'}
    (tmp_path / "sites.csv").write_text(SITES, "utf-8")
    (tmp_path / "devices.csv").write_text(DEVICES)
    (tmp_path / "T.jsonl").write_text(json.dumps(line) + "\n")
    (tmp_path / "A.jsonl").write_text(f"{json.dumps(ALERT)}\n{json.dumps(SILENCE)}\n")
    (tmp_path / "C.jsonl").write_text(json.dumps(message) + "\n")
    (tmp_path / "B.csv").write_text(
        f"site,bin_start,state,on_backup,revision\ns1,{START},UP,false,1\n"
        f"s1,{START + 86_100_000},UP,true,2\n"
    )
    return tmp_path


def evaluate(folder: Path, *more: str) -> int:
    """Call the command on the files of a folder."""
    return main(
        [
            *("evaluate", "--sites", f"{folder}/sites.csv", "--devices", f"{folder}/devices.csv"),
            *("--truth", f"{folder}/T.jsonl", "--alerts", f"{folder}/A.jsonl", *more),
        ]
    )


def test_a_world_is_scored(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page has the fault's row, and the row of each reference detector."""
    more = ("--bins", f"{files}/B.csv", "--capture", f"{files}/C.jsonl", "--json", f"{files}/S")
    assert evaluate(files, *more) == 0
    text = capsys.readouterr().out
    assert "| spike | 1 | 100.0 % | 100.0 % | 0 | 60 s | 60 s | 1 | 1 | 0 | 0.0 % | 0.0 % |" in text
    assert "*outside everything seen*" in text
    assert json.loads((files / "S").read_text())["device_days"] == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("T.jsonl", '{"fault":"f1"}\n', "T.jsonl:1: Object missing required field"),
        ("A.jsonl", "\nnothing\n", "A.jsonl:2: JSON is malformed"),
        ("B.csv", "site,state\n", "B.csv: has the columns ['site', 'state']; it needs"),
        ("B.csv", "site,bin_start,state,on_backup\ns1,noon,UP,0\n", "B.csv:2: bin_start is 'noon'"),
        ("devices.csv", "device,site\n", "devices.csv"),
    ],
)
def test_a_wrong_file_is_named(
    files: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, said: str
) -> None:
    """The message says which file and line, what it has, what it must have; the code is 2."""
    (files / name).write_text(text)
    assert evaluate(files, "--bins", f"{files}/B.csv") == 2
    assert said in capsys.readouterr().err


def test_gates_ask_for_faults_that_are_large_and_long_enough() -> None:
    """A gate takes faults by type, or by type and metric, from a size and a length on."""
    gates = {gate.name: gate for gate in read_gates()}
    spike, step = gates["spike of 8 sigma"], gates["level shift of 4 sigma"]
    assert spike.wants(fault("f", 0, 1))
    assert spike.wants(fault("f", 0, 1, sigmas=8.0))
    assert not spike.wants(fault("f", 0, 1, sigmas=7.0))
    assert step.wants(fault("f", 0, 3_600_000, type="level-shift"))
    assert not step.wants(fault("f", 0, 3_500_000, type="level-shift"))
    doubled = gates["round trip doubled, 30 min or more"]
    facts = {"type": "level-shift", "metric": "nat_rtt_p50_ms"}
    assert doubled.wants(fault("f", 0, 1_800_000, **facts))
    assert not doubled.wants(fault("f", 0, 1_800_000, type="level-shift"))
