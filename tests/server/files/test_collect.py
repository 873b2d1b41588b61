"""What a collection removes, and what it never removes, whatever happens beside it."""

from __future__ import annotations

import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.server.files.conftest import Clock
from tests.server.files.pictures import encoded
from weft.server.files.blobs import DAY, BlobStore, put
from weft.server.files.collect import Collected, Patient, collect, collect_these
from weft.server.files.local import LocalFiles
from weft.server.files.thumbnails import Thumbnails
from weft.server.files.upload import receive


def left(store: BlobStore) -> set[str]:
    return {stored.id for stored in store.list()}


def test_what_nobody_names_goes_and_nothing_else(store: BlobStore, clock: Clock) -> None:
    named, unnamed = put(store, b"named"), put(store, b"unnamed")
    upload = receive(store, [encoded("PNG")])
    clock.now += 3600
    new = put(store, b"new")
    assert collect(store, lambda: {named}, clock=clock) == Collected(1, 7, 3, 5 + upload.bytes + 3)
    assert left(store) == {named, upload.file, new}
    assert unnamed not in left(store)
    clock.now += DAY
    assert collect(store, lambda: {named}, clock=clock).removed == 2
    assert left(store) == {named}


def test_uploading_again_begins_another_day(store: BlobStore, clock: Clock) -> None:
    id = receive(store, [encoded("PNG")]).file
    clock.now += DAY - 10
    assert receive(store, [encoded("PNG")]).file == id
    clock.now += DAY - 10
    assert collect(store, set, clock=clock).removed == 0
    clock.now += 20
    assert collect(store, set, clock=clock).removed == 1


def test_a_job_that_is_accepted_while_names_are_asked_for_keeps_its_files(store: BlobStore, clock: Clock) -> None:
    """It reserves first, and is among the names only after they were asked for."""
    early, late = put(store, b"early"), put(store, b"late")
    clock.now += DAY

    def names() -> set[str]:
        assert store.reserve(late, 3600.0)
        return {early}

    assert collect(store, names, clock=clock).removed == 0
    clock.now += 3700
    assert collect(store, lambda: {early}, clock=clock).removed == 1


def test_a_job_that_comes_too_late_is_told(store: BlobStore, clock: Clock) -> None:
    id = put(store, b"one")
    clock.now += DAY
    collect(store, set, clock=clock)
    assert not store.reserve(id, 3600.0)


def test_a_file_that_comes_meanwhile_stays(store: BlobStore, clock: Clock) -> None:
    old = put(store, b"old")
    clock.now += DAY

    def names() -> set[str]:
        put(store, b"old")
        return set()

    assert collect(store, names, clock=clock).removed == 0
    assert left(store) == {old}


def test_names_that_cannot_be_asked_for_remove_nothing(store: BlobStore, clock: Clock) -> None:
    id = put(store, b"one")
    clock.now += DAY

    def locked() -> Collection[str]:
        raise OSError("the database is locked")

    with pytest.raises(OSError, match="locked"):
        collect(store, locked, clock=clock)
    assert left(store) == {id}


def test_files_of_a_deleted_job_go_at_once(local: LocalFiles, clock: Clock, tmp_path: Path) -> None:
    """Unless something else names them, or somebody uploaded or reserved the same."""
    thumbnails = Thumbnails(local, tmp_path / "thumbnails")
    thumbnails.folder.mkdir()
    own, shared, reserved = put(local, b"own"), put(local, b"shared"), put(local, b"reserved", reserve=60)
    upload = receive(local, [encoded("PNG")]).file
    small = thumbnails.folder / f"{own.removeprefix('sha256:')}_64.webp"
    small.write_bytes(b"")
    gone = "sha256:" + "0" * 64
    removed = collect_these(local, [own, shared, reserved, upload, gone], lambda: {shared}, thumbnails, clock)
    assert removed == {own}
    assert left(local) == {shared, reserved, upload}
    assert not small.exists()


def test_collections_beside_jobs_that_come_and_go(local: LocalFiles, clock: Clock) -> None:
    """Whoever got a reservation still has the file when its name is written down; whoever got none was told."""
    names: set[str] = set()
    ended = threading.Event()
    lost: list[str] = []

    def submit(seed: int) -> None:
        for number in range(60):
            id = put(local, bytes([seed, number]))
            if local.reserve(id, 3600.0):
                names.add(id)
                with local.open(id) as file:
                    if file.read() != bytes([seed, number]):
                        lost.append(id)

    def sweep() -> None:
        while not ended.is_set():
            collect(local, names.copy, age=0.0, clock=clock)

    with ThreadPoolExecutor(4) as pool:
        sweeping = pool.submit(sweep)
        try:
            list(pool.map(submit, range(3)))
        finally:
            ended.set()
        sweeping.result()
    collect(local, names.copy, age=0.0, clock=clock)
    assert lost == []
    assert left(local) == names


def test_a_clock_that_is_set_makes_nothing_old() -> None:
    """Set forward it is believed after a day; set back, at once."""
    steady, wall = Clock(), Clock()
    patient = Patient(wall, steady)

    def passes(seconds: float) -> float:
        steady.now += seconds
        wall.now += seconds
        return patient() - wall.now

    assert passes(100.0) == 0.0
    wall.now += 5 * 3600
    assert passes(0.0) == -5 * 3600
    assert passes(DAY - 1) == -5 * 3600
    wall.now -= 5 * 3600  # it was a mistake
    assert passes(60.0) == 0.0
    wall.now += 5 * 3600
    assert passes(0.0) == -5 * 3600
    assert passes(DAY - 1) == -5 * 3600  # the day began anew
    assert passes(2.0) == 0.0
    wall.now -= 9 * 3600
    assert passes(1.0) == 0.0
    wall.now += 30.0  # it is set a little now and then
    assert passes(1.0) == 0.0


def test_an_upload_outlives_a_clock_that_is_set_forward(store: BlobStore, clock: Clock) -> None:
    steady = Clock()
    patient = Patient(clock, steady)
    id = receive(store, [encoded("PNG")]).file
    clock.now += 3 * DAY
    assert collect(store, set, clock=patient).removed == 0
    assert collect_these(store, [id], set, clock=patient) == set()
    for _ in range(2):
        steady.now += DAY + 1
        clock.now += DAY + 1
        patient()
    assert collect(store, set, clock=patient).removed == 1
