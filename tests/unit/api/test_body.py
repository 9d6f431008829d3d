import gzip
import tracemalloc

import pytest

from api.body import unpack_gzip
from api.errors import TooLargeError
from ledger.errors import InvalidError

LIMIT = 1000


def test_a_gzip_body_of_exactly_the_limit_is_unpacked() -> None:
    assert b"x" * LIMIT == unpack_gzip(gzip.compress(b"x" * LIMIT), limit=LIMIT)


def test_a_gzip_body_of_one_byte_more_is_too_large() -> None:
    with pytest.raises(TooLargeError):
        unpack_gzip(gzip.compress(b"x" * (LIMIT + 1)), limit=LIMIT)


def test_a_bomb_is_not_unpacked_beyond_the_limit() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            unpack_gzip(bomb, limit=LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def test_a_gzip_body_with_a_wrong_checksum_is_refused() -> None:
    whole = gzip.compress(b"usage")
    with pytest.raises(InvalidError):
        unpack_gzip(whole[:-8] + bytes(8), limit=LIMIT)
