from pathlib import Path

from meterline.delivery.folder import FolderShelf
from meterline.delivery.keeper import Keeper
from meterline.delivery.spool import Spool
from meterline.delivery.terms import WhenFull
from meterline.delivery.transport import Transport
from meterline.notices import Notices

DEAD = 20


def test_what_very_many_processes_left_is_taken_over_as_fast_as_it_is_sent(tmp_path: Path) -> None:
    shelf = FolderShelf(str(tmp_path / "spool"), segment_bytes=65_536)
    for _ in range(DEAD):
        segment = shelf.create(patience=1)
        segment.append(b"left")
        segment.release()
    notices = Notices()
    spool = Spool(shelf, max_bytes=2**30, when_full=WhenFull.DROP_OLDEST, notices=notices)
    transport = Transport(url="http://127.0.0.1:9", api_key="key", timeout=1)
    keeper = Keeper(spool, transport, notices)
    for _ in range(3):
        keeper.work()
        while (batch := spool.take(0.0, most=1000, most_bytes=10**9)) is not None:
            spool.settle(batch, batch.records)
    assert keeper.adopted == DEAD
