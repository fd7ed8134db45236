"""A host for the outbox's machine: its disk, its clock, and processes whose threads are the machine's steps."""

from __future__ import annotations

import errno
import os
import resource
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from datlake_sdk._outbox import dead
from datlake_sdk._outbox.depot import Depot
from datlake_sdk._outbox.journal import Frame, SegmentReader, SegmentWriter
from datlake_sdk._outbox.outbox import Outbox
from datlake_sdk._outbox.parcels import UploadParcel, content_of
from datlake_sdk._outbox.places import folder_of
from datlake_sdk._outbox.presence import Presence
from datlake_sdk.settings import load_settings
from datlake_sdk.transport.breaker import Breaker
from tests.properties.outbox_lake import Lake

# A few dozen frames: files are begun and delivered all the time.
SEGMENT_BYTES = 4_000
SETTINGS = load_settings({"api_url": "http://127.0.0.1:9", "outbox_limit_mb": 1}, environ={}).settings
# Of the processor's time, and of a child's.
HUNG_S = 3
HUNG_CHILD_S = 20


def _hung(*_: object) -> None:
    raise AssertionError("it hangs")


class Host:
    """One machine with one outbox folder. What is asked of its disk goes through `disk`, which may be full."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._place = TemporaryDirectory(prefix="outbox-")
        root = Path(self._place.name)
        self.settings = msgspec.structs.replace(SETTINGS, outbox_dir=str(root / "outbox"))
        self.folder = Path(folder_of(self.settings))
        self.files = root / "files"
        self._removed = root / "removed"
        for place in (self.files, self._removed):
            place.mkdir()
        self.now = 1_700_000_000.0
        self.room: int | None = None
        self.failing_syncs = 0
        self.synced: dict[str, int] = {}
        self._writers = 0
        self.is_damaged = False

    def clock(self) -> float:
        """The time here: it passes where the machine says so."""
        return self.now

    def next_writer(self) -> str:
        """A name that sorts behind those before it; real ones do so by the millisecond."""
        self._writers += 1
        return f"0190c6a0-0000-7000-9000-{self._writers:012x}"

    @contextmanager
    def disk(self) -> Generator[None]:
        """No file grows beyond `room` bytes in here: the kernel cuts the write short, or refuses it."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if self.room is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.room, hard))
        signal.signal(signal.SIGVTALRM, _hung)
        signal.setitimer(signal.ITIMER_VIRTUAL, HUNG_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def close(self) -> None:
        """Nothing is left of it."""
        self._place.cleanup()

    # --- its files ----------------------------------------------------------------------------------------------------

    def segments(self) -> list[Path]:
        """The journal's files, the oldest first."""
        return sorted(path for path in self.folder.glob("*.seg") if path.name != dead.DEAD_FILE)

    def left(self) -> list[str]:
        """What there is beside what stays for people to see."""
        stays = {dead.DEAD_FILE, dead.LOSSES_FILE, "breaker", "known", "spool"}
        places = [self.folder, self.folder / "spool"]
        found = [path.name for place in places if place.exists() for path in place.iterdir()]
        meant = b"".join(bytes(letter.payload) for letter in self.letters().values()).decode()
        return sorted(
            name for name in found if name not in stays and not name.endswith(".unreadable") and name not in meant
        )

    def hours_pass(self) -> None:
        """What waits in the spool has waited for long."""
        for path in (self.folder / "spool").glob("*"):
            os.utime(path, (0, 0))

    def letters(self) -> dict[str, dead.DeadLetter]:
        """The dead letters by the key of what they hold."""
        found = dead.dead_letters(str(self.folder))
        return {key_of(Frame(letter.kind, bytes(letter.payload), 0, 0)): letter for letter in found}

    def remember(self, path: str) -> None:
        """The file has another name, by which a power cut finds it again after its removal."""
        os.link(path, self._removed / Path(path).name)

    def forget_removed(self) -> None:
        """What was removed is gone from the disk as well."""
        for path in self._removed.iterdir():
            path.unlink()

    def removed(self) -> list[str]:
        """The names of the segments whose removal a power cut may undo."""
        return sorted(path.name for path in self._removed.iterdir() if not (self.folder / path.name).exists())

    def restore(self, name: str) -> None:
        """The removal of a segment is undone."""
        (self._removed / name).replace(self.folder / name)

    def all_is_synced(self) -> None:
        """What there is in the folder was synced by whoever wrote it."""
        for path in self.segments():
            if path.name not in self.synced:
                self.synced[path.name] = path.stat().st_size


class Writer(SegmentWriter):
    """A segment whose syncs the host sees, and lets fail; after a failed one what was written may be lost."""

    host: Host

    def sync(self) -> None:
        """As the real one, where the host lets it."""
        self._require_open()
        if self.host.failing_syncs:
            self.host.failing_syncs -= 1
            self.is_broken = self._has_failed_sync = True
            raise OSError(errno.EIO, "the disk did not take it", self.path)
        size = os.fstat(self._descriptor).st_size
        super().sync()
        self.host.synced[Path(self.path).name] = size


class Stepped(Depot):
    """What a process keeps and delivers with. Its threads never start: the machine takes their steps."""

    def __init__(self, outbox: Outbox, host: Host) -> None:
        self._host = host
        super().__init__(outbox, host.settings, lambda: host.lake)
        self.courier._sender = self.courier._syncer = threading.Thread()
        self._queue.segment_bytes = SEGMENT_BYTES
        self._queue._clock = host.clock

    def _new_segment(self, number: int) -> SegmentWriter:
        real = super()._new_segment(number)
        seen = Writer(real.path, os.dup(real._descriptor), real.size_bytes)
        seen.host = self._host
        real.close()
        self._host.remember(real.path)
        return seen

    @property
    def appends_to_memory(self) -> bool:
        """True where what came last went into memory."""
        current = self._queue._current
        return current is not None and current.in_memory

    def round(self) -> bool:
        """One round of the courier; an error is not caught here as it is in the thread."""
        return self.courier._round(1.0)

    def synced(self) -> bool:
        """What the thread does that syncs; true where it succeeds."""
        return self._queue.sync()

    def die(self) -> None:
        """An adoption that is under way ends as its process does: the kernel lets go of its claim."""
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()


class Process(Outbox):
    """The outbox of one process of the host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        super().__init__(host.settings, lambda: host.lake)
        self.breaker = Breaker(f"{self.folder}/breaker", clock=host.clock, monotonic=host.clock, chance=lambda: 0.5)

    def present(self) -> Presence:
        """As the real one, by a name that is the same when a failure happens again."""
        if self._presence is None:
            self._presence = Presence.create(self.folder, self._host.next_writer())
        return self._presence

    def _depot(self) -> Stepped:
        if None not in self._depots:
            self._depots[None] = Stepped(self, self._host)
        found = self._depots[None]
        assert isinstance(found, Stepped)
        return found

    @property
    def depot(self) -> Stepped:
        """What it keeps with."""
        return self._depot()

    def die(self) -> None:
        """What the kernel does for a process that was killed: its files are closed, and its locks let go."""
        self.depot.die()
        self.begin_anew()


def forked(work: Callable[[], bool]) -> bool:
    """What `work` says in a forked child, which ends without any tidying."""
    pid = os.fork()
    if pid == 0:
        status = 9
        try:
            signal.alarm(HUNG_CHILD_S)
            status = 0 if work() else 1
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in {0, 1}, f"the child ended with {code}"
    return code == 0


def frames_of(path: Path) -> list[Frame]:
    """The frames of a segment that check out; none where it cannot be read at all."""
    with suppress(ValueError, FileNotFoundError):
        reader = SegmentReader.open(str(path))
        try:
            found, at, is_end = list[Frame](), 0, False
            while not is_end:
                batch = reader.read(at, is_sealed=True)
                found, at, is_end = found + batch.frames, batch.next, batch.is_end
            return found
        finally:
            reader.close()
    return []


def key_of(frame: Frame) -> str:
    """What the lake knows the content of a frame by."""
    content = content_of(frame)
    return content.object_name if isinstance(content, UploadParcel) else content.key or ""
