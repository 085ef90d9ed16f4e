"""Keys of the API: shown once, kept as a hash, over in time; and the command for them."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from runtime.cli import main
from storage.ledger import keys
from storage.ledger.audit import list_audit
from storage.ledger.migrations import STEPS, Ledger, add_rights, open_ledger
from storage.ledger.schema import api_keys
from storage.ledger.totals import read as read_totals

NOW_MS = 1_791_165_600_000
HOUR_MS = 3_600_000


def made(ledger: Ledger, **facts: object) -> keys.NewKey:
    """A new key for a viewer for a day."""
    usual = {"name": "n", "role": "viewer", "days": 1, "now_ms": NOW_MS, "by": "test"}
    return keys.create_key(ledger, **{**usual, **facts})  # type: ignore[arg-type]


def test_a_key_is_found_by_its_text_and_by_nothing_less(ledger: Ledger) -> None:
    """256 bits in a form that tools recognise; any other text finds nothing."""
    one, other = made(ledger, provinces=["LA-VT", "LA-LP"]), made(ledger)
    assert keys.FORM.fullmatch(one.text)
    assert len(set(one.text)) > 10
    found = keys.find_key(ledger, one.text)
    assert found == one.key
    assert found is not None
    assert (found.provinces, found.agencies) == (["LA-LP", "LA-VT"], None)
    swapped = one.text[:13] + other.text[13:]
    for wrong in ("", "gvs_", one.text[:-1], one.text + "x", one.text.upper(), swapped, "ຫ້ອງ"):
        assert keys.find_key(ledger, wrong) is None


def test_the_key_itself_is_kept_nowhere(ledger: Ledger) -> None:
    """Neither its text nor its secret is in any column of it or of the audit."""
    secret = made(ledger).text.split("_", 2)[2]
    with ledger.read() as connection:
        kept = str(connection.execute(select(api_keys)).all())
    assert secret not in kept + str(list_audit(ledger, limit=10))


def test_a_key_ends_at_its_time_or_when_it_is_revoked(ledger: Ledger) -> None:
    """Its state says which; revoking it again changes nothing."""
    key = made(ledger).key
    assert key.state(NOW_MS) == "valid"
    assert key.state(NOW_MS + keys.DAY_MS - 1) == "valid"
    assert key.state(NOW_MS + keys.DAY_MS) == "expired"
    revoked = keys.revoke_key(ledger, key.prefix, now_ms=NOW_MS + 5, by="test")
    assert revoked.state(NOW_MS + 5) == "revoked"
    assert keys.revoke_key(ledger, key.id, now_ms=NOW_MS + 9, by="test") == revoked
    with pytest.raises(KeyError):
        keys.revoke_key(ledger, "key-0", now_ms=NOW_MS, by="test")


def test_rotation_overlaps(ledger: Ledger) -> None:
    """Both hold until the overlap is over; the new one has the rights of the old one."""
    old = made(ledger, role="operator", agencies=["Health"], days=30)
    new = keys.rotate_key(ledger, old.key.id, days=90, overlap_h=2, now_ms=NOW_MS, by="test")
    before = keys.find_key(ledger, old.text)
    assert before is not None
    assert before.replaced_by == new.key.id
    assert before.state(NOW_MS + 2 * HOUR_MS - 1) == "valid"
    assert before.state(NOW_MS + 2 * HOUR_MS) == "expired"
    assert new.key.state(NOW_MS + 89 * keys.DAY_MS) == "valid"
    assert (new.key.role, new.key.agencies, new.key.name) == ("operator", ["Health"], "n")
    with pytest.raises(ValueError, match=f"replaced by {new.key.id}"):
        keys.rotate_key(ledger, old.key.id, days=1, overlap_h=2, now_ms=NOW_MS, by="test")
    keys.revoke_key(ledger, new.key.id, now_ms=NOW_MS, by="test")
    with pytest.raises(ValueError, match="is revoked"):
        keys.rotate_key(ledger, new.key.id, days=1, overlap_h=2, now_ms=NOW_MS, by="test")


def test_an_overlap_never_lengthens_a_life(ledger: Ledger) -> None:
    """A key that ends within the overlap ends when it would have."""
    old = made(ledger, days=1)
    keys.rotate_key(ledger, old.key.id, days=9, overlap_h=100, now_ms=NOW_MS, by="test")
    after = keys.get_key(ledger, old.key.id)
    assert after is not None
    assert after.expires_ms == old.key.expires_ms


def test_the_last_use_is_exact_to_a_minute(ledger: Ledger) -> None:
    """It is written once a minute at most, by however many processes."""
    key = made(ledger).key
    for at_ms in (NOW_MS, NOW_MS + 59_999, NOW_MS + 60_000):
        keys.note_use(ledger, key, at_ms)  # as a process that has not read it again
    after = keys.get_key(ledger, key.id)
    assert after is not None
    assert after.last_used_ms == NOW_MS + 60_000
    keys.note_use(ledger, after, NOW_MS + 60_001)
    assert keys.get_key(ledger, key.id) == after


def test_the_first_admin_key_is_made_once(ledger: Ledger) -> None:
    """Of many processes that start together one gets it, and none after it is revoked."""
    made(ledger)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(keys.first_admin_key, ledger, now_ms=NOW_MS, by="t") for _ in range(8)]
    (first,) = [key for call in calls if (key := call.result()) is not None]
    assert first.key.role == "admin"
    keys.revoke_key(ledger, first.key.id, now_ms=NOW_MS, by="test")
    assert keys.first_admin_key(ledger, now_ms=NOW_MS, by="test") is None


def test_every_change_of_keys_is_audited(ledger: Ledger) -> None:
    """With who did it, and which key."""
    one = made(ledger, by="S. Vong")
    keys.rotate_key(ledger, one.key.id, days=1, overlap_h=1, now_ms=NOW_MS, by="S. Vong")
    keys.revoke_key(ledger, one.key.id, now_ms=NOW_MS, by="S. Vong")
    rows = list_audit(ledger, limit=10)[::-1]
    assert [row.what for row in rows] == ["key created", "key rotated", "key revoked"]
    assert {row.name for row in rows} == {"S. Vong"}
    assert all(row.subject.startswith(one.key.id) for row in rows)


def test_an_older_ledger_gets_keys_and_audit(tmp_path: Path) -> None:
    """The step of the migration makes both, with what keeps the audit append-only."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    before = STEPS[: STEPS.index(add_rights)]
    old = open_ledger(url, steps=before)
    with old.begin() as connection:  # a new ledger has every table: take away what it had not
        connection.exec_driver_sql("DROP TABLE api_keys")
        connection.exec_driver_sql("DROP TABLE audit")
    old.close()
    new = open_ledger(url)
    made(new)
    with pytest.raises(Exception, match="append-only"), new.begin() as connection:
        connection.exec_driver_sql("DELETE FROM audit")
    assert read_totals(new).position == 0
    new.close()


def call(directory: Path, *arguments: str) -> int:
    """Run `govsense keys` over a data directory; 2 where the call is wrong."""
    try:
        return main(["--data-dir", str(directory), "keys", *arguments])
    except SystemExit as exc:
        return int(str(exc.code))


def test_the_command_makes_lists_rotates_and_revokes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output holds the key alone, so that a script can take it; lists never hold it."""
    create = ["create", "--name", "Portal", "--role", "operator", "--province", "LA-LP"]
    assert call(tmp_path, *create, "--agency", "Health") == 0
    said = capsys.readouterr()
    text = said.out.strip()
    assert keys.FORM.fullmatch(text)
    (key,) = re.findall(r"key-[0-9a-f]{8}", said.err)
    assert text not in said.err
    assert call(tmp_path, "list") == 0
    listed = capsys.readouterr().out
    assert key in listed
    assert "LA-LP; Health" in listed
    assert text[13:] not in listed
    assert call(tmp_path, "rotate", key, "--overlap-hours", "0") == 0
    assert keys.FORM.fullmatch(capsys.readouterr().out.strip())
    assert call(tmp_path, "list", "--json") == 0
    states = [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]
    assert sorted(states) == ["expired", "valid"]
    assert call(tmp_path, "revoke", key) == 0
    assert "is revoked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["create", "--name", "x", "--role", "root"], "invalid choice"),
        (["create", "--name", "x", "--province", "LA-XX"], "invalid choice"),
        (["create", "--name", "a\nb"], "is not a name"),
        (["create", "--name", "x", "--days", "nan"], "is not a number from 0 to 3650"),
        (["create"], "--name"),
    ],
)
def test_a_wrong_call_is_refused(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is made, and the reason is said."""
    assert call(tmp_path, *arguments) == 2
    assert complaint in capsys.readouterr().err


def test_a_key_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For revoke and rotate."""
    for action in ("revoke", "rotate"):
        assert call(tmp_path, action, "key-0") == 1
        assert "there is no key 'key-0'" in capsys.readouterr().err
