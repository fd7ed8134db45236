"""A lake whose file is removed, replaced or out of reach while it is open."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from msgspec import Struct

from datlake_sdk.errors import ServerError
from datlake_server.store.base import Tx
from datlake_server.store.sqlite import SqliteStore, now_us


class _Table(Struct):
    table_id: int


def _make(tx: Tx) -> None:
    tx.do("tables.insert", namespace="n", name="t", now=tx.now, location=None)


def _tables(tx: Tx) -> int:
    return len(tx.all(_Table, "tables.get", namespace="n", name="t"))


def test_a_reader_of_a_file_that_is_gone_reads_it_no_more(tmp_path: Path) -> None:
    """Kept for the next caller, it would show the old lake for as long as the process lives."""
    store = SqliteStore(str(tmp_path / "lake.db"), now_us)
    store.write(_make, 1.0)

    def replace(tx: Tx) -> int:
        seen = _tables(tx)
        for name in ("lake.db", "lake.db-wal", "lake.db-shm"):
            (tmp_path / name).unlink()
        other = threading.Thread(target=store.write, args=(lambda tx: tx.now, 1.0))
        other.start()
        other.join()
        return seen

    assert store.read(replace) == 1
    assert store.read(_tables) == 0
    store.close()


def test_a_folder_that_is_out_of_reach_is_told_as_an_error_of_the_lake(tmp_path: Path) -> None:
    """A raw `OSError` would end a job that only meant to tell of itself."""
    folder = tmp_path / "lake"
    folder.mkdir()
    store = SqliteStore(str(folder / "lake.db"), now_us)
    folder.rename(tmp_path / "away")
    folder.write_text("a file in its place")
    with pytest.raises(ServerError, match="cannot be written") as caught:
        store.read(_tables)
    assert caught.value.code == "lake_unwritable"
    with pytest.raises(ServerError, match="cannot be written"):
        store.write(_tables, 1.0)
    folder.unlink()
    (tmp_path / "away").rename(folder)
    assert store.read(_tables) == 0
    store.close()
