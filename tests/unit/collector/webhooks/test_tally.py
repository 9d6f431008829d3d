from concurrent.futures import ThreadPoolExecutor

from collector.webhooks.tally import Tally


def test_counts_of_many_threads_add_up() -> None:
    tally = Tally()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(1000):
            pool.submit(tally.add, "twilio", {"stored": 1, "duplicate": 2})
    expected = {("twilio", "stored"): 1000, ("twilio", "duplicate"): 2000}
    assert expected == tally.snapshot()


def test_a_snapshot_does_not_change_afterwards() -> None:
    tally = Tally()
    before = tally.snapshot()
    tally.add("sendgrid", {"stored": 1})
    assert {} == before
