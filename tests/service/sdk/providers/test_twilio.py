"""The Twilio hook, on the real package over real HTTP."""

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from meterline.context import working_for
from meterline.twilio_hook import meter_twilio
from meterline.usage import Usage
from tests.service.sdk.providers.conftest import Run
from tests.standins.server import StandIn
from tests.standins.twilio_api import ACCOUNT, TwilioAnswers, form

# The twilio package calls aiohttp in ways that aiohttp deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning"),
]

KINDS = ("sync", "async")
CALLBACK = "https://meter.example/webhooks/twilio/calls"
MESSAGE_CALLBACK = "https://meter.example/webhooks/twilio/messages"
SID = "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
SENT: dict[str, str] = {"to": "+14155552345", "from_": "+14155552345", "body": "Hello Jo"}


@pytest.fixture
def answers(shared: Path) -> TwilioAnswers:
    return TwilioAnswers(shared)


@pytest.fixture
def twilio_api(answers: TwilioAnswers) -> Iterator[StandIn]:
    standin = StandIn(answers)
    yield standin
    standin.close()


class Twilio:
    """A client whose requests go to the stand-in, synchronous or not."""

    def __init__(self, api: StandIn, run: Run, kind: str) -> None:
        self._run = run
        self._kind = kind
        self.api = api
        self.http: Any = run(_make_async()) if kind == "async" else TwilioHttpClient()
        self.client = Client(ACCOUNT, "token", http_client=self.http)
        to_standin(self.client, api.url)

    def create(self, resource: str = "messages", **fields: Any) -> Any:
        made = getattr(self.client, resource)
        if self._kind == "async":
            return self._run(made.create_async(**fields))
        return made.create(**fields)

    def close(self) -> None:
        if self._kind == "async":
            self._run(self.http.close())
        else:
            self.http.session.close()


async def _make_async() -> AsyncTwilioHttpClient:
    return AsyncTwilioHttpClient()


def to_standin(client: Client, url: str) -> None:
    """Send the requests of a client to the stand-in; the paths stay as they are."""

    def get_hostname(uri: str) -> str:
        return f"{url}{urlsplit(uri).path}"

    client.get_hostname = get_hostname


@pytest.fixture(params=KINDS)
def twilio(request: pytest.FixtureRequest, twilio_api: StandIn, run: Run) -> Iterator[Twilio]:
    made = Twilio(twilio_api, run, request.param)
    yield made
    made.close()


def metered(
    twilio: Twilio,
    sink: list[Usage],
    callback_url: str | None = None,
    message_callback_url: str | None = None,
) -> Twilio:
    assert twilio.client is meter_twilio(
        twilio.client,
        sink.append,
        callback_url=callback_url,
        message_callback_url=message_callback_url,
    )
    return twilio


def test_a_created_sms_is_metered_by_its_segments(
    twilio: Twilio, sink: list[Usage], answers: TwilioAnswers
) -> None:
    answers.changes = {"num_segments": "3"}
    with working_for("acme", "broadcast"):
        metered(twilio, sink).create(**SENT)
    fields = ("sms", "outbound", "twilio", "acme", "broadcast", 3)
    assert [(SID, *fields, {})] == [(usage.id, *usage[2:]) for usage in sink]


def test_a_message_with_media_is_an_mms(
    twilio: Twilio, sink: list[Usage], answers: TwilioAnswers
) -> None:
    answers.changes = {"num_media": "2"}
    metered(twilio, sink).create(**SENT, media_url=["https://host.example/a", "https://b.example"])
    assert [("mms", 1, {"num_media": 2})] == [(u.channel, u.quantity, u.metadata) for u in sink]


def test_segments_that_twilio_does_not_know_yet_are_computed_and_provisional(
    twilio: Twilio, sink: list[Usage], answers: TwilioAnswers
) -> None:
    answers.changes = {"num_segments": "0", "status": "accepted", "body": "é" * 150 + "🎉" * 10}
    metered(twilio, sink).create(**SENT)
    assert [(3, {"provisional": True})] == [(usage.quantity, usage.metadata) for usage in sink]


def test_a_message_over_another_network_is_one_and_provisional(
    twilio: Twilio, sink: list[Usage], answers: TwilioAnswers
) -> None:
    answers.changes = {"num_segments": "7", "to": "whatsapp:+14155552345"}
    metered(twilio, sink).create(**SENT)
    assert [(1, {"provisional": True})] == [(usage.quantity, usage.metadata) for usage in sink]


@pytest.mark.parametrize("network", ["whatsapp", "rcs"])
@pytest.mark.parametrize("media", [{"num_media": "1"}, {"num_media": "0"}])
def test_a_message_with_media_over_another_network_is_no_mms(
    network: str, media: dict[str, str], twilio: Twilio, sink: list[Usage], answers: TwilioAnswers
) -> None:
    answers.changes = {"to": f"{network}:+14155552345", **media}
    metered(twilio, sink).create(**SENT, media_url=["https://host.example/a"])
    assert [("sms", 1, {"provisional": True})] == [
        (u.channel, u.quantity, u.metadata) for u in sink
    ]


@pytest.mark.parametrize("status", ["scheduled", "canceled", "failed"])
def test_a_message_that_owes_nothing_yet_is_not_metered(
    status: str, twilio: Twilio, sink: list[Usage], answers: TwilioAnswers
) -> None:
    answers.changes = {"status": status}
    metered(twilio, sink).create(**SENT)
    assert [] == sink


def test_a_refused_message_is_not_metered_and_raises_as_ever(
    twilio: Twilio, sink: list[Usage], answers: TwilioAnswers
) -> None:
    answers.status = 400
    with pytest.raises(TwilioRestException, match="no such number"):
        metered(twilio, sink).create(**SENT)
    assert [] == sink


def test_an_answer_that_is_no_success_is_not_metered_whatever_it_holds(
    twilio: Twilio, sink: list[Usage], answers: TwilioAnswers
) -> None:
    answers.status, answers.error = 503, {"sid": SID, "num_segments": "1", "message": "later"}
    with pytest.raises(TwilioRestException, match="later"):
        metered(twilio, sink).create(**SENT)
    assert [] == sink


def test_looking_at_a_message_is_not_metered(
    twilio_api: StandIn, run: Run, sink: list[Usage]
) -> None:
    twilio = metered(Twilio(twilio_api, run, "sync"), sink)
    twilio.client.messages(SID).fetch()
    twilio.client.messages(SID).update(body="")
    twilio.close()
    assert [] == sink


def test_a_created_call_gets_our_callback_with_tenant_and_feature_and_books_nothing(
    twilio: Twilio, sink: list[Usage]
) -> None:
    with working_for("acme", "ivr"):
        metered(twilio, sink, CALLBACK).create("calls", **_call())
    expected = f"{CALLBACK}?tenant=acme&feature=ivr"
    assert (expected, []) == (form(twilio.api.asked[-1])["StatusCallback"], sink)


def test_a_call_keeps_a_callback_of_its_own(twilio: Twilio, sink: list[Usage]) -> None:
    own = "https://host.example/done"
    metered(twilio, sink, CALLBACK).create("calls", **_call(), status_callback=own)
    assert own == form(twilio.api.asked[-1])["StatusCallback"]


def test_a_call_is_left_alone_without_a_callback_url(twilio: Twilio, sink: list[Usage]) -> None:
    metered(twilio, sink).create("calls", **_call())
    assert "StatusCallback" not in form(twilio.api.asked[-1])


def test_a_created_message_gets_a_callback_where_the_host_asks_for_it_and_is_booked(
    twilio: Twilio, sink: list[Usage]
) -> None:
    with working_for("acme", "broadcast"):
        metered(twilio, sink, message_callback_url=MESSAGE_CALLBACK).create(**SENT)
    expected = f"{MESSAGE_CALLBACK}?tenant=acme&feature=broadcast"
    assert (expected, [SID]) == (
        form(twilio.api.asked[-1])["StatusCallback"],
        [usage.id for usage in sink],
    )


def test_a_message_keeps_a_callback_of_its_own(twilio: Twilio, sink: list[Usage]) -> None:
    own = "https://host.example/sent"
    metered(twilio, sink, message_callback_url=MESSAGE_CALLBACK).create(**SENT, status_callback=own)
    assert own == form(twilio.api.asked[-1])["StatusCallback"]


def test_a_message_is_left_alone_where_only_calls_are_to_have_a_callback(
    twilio: Twilio, sink: list[Usage]
) -> None:
    metered(twilio, sink, CALLBACK).create(**SENT)
    assert "StatusCallback" not in form(twilio.api.asked[-1])


def test_a_client_that_is_metered_twice_counts_once(twilio: Twilio, sink: list[Usage]) -> None:
    other: list[Usage] = []
    metered(metered(metered(twilio, sink), sink), other).create(**SENT)
    assert (1, []) == (len(sink), other)


def test_a_fault_of_the_sink_does_not_reach_the_caller(twilio: Twilio) -> None:
    def fail(usage: Usage) -> None:
        raise RuntimeError(usage.id)

    meter_twilio(twilio.client, fail, callback_url=None)
    assert SID == twilio.create(**SENT).sid


def test_the_caller_sees_what_the_caller_of_a_bare_client_sees(
    twilio: Twilio, sink: list[Usage]
) -> None:
    bare = twilio.create(**SENT)
    through = metered(twilio, sink, CALLBACK).create(**SENT)
    assert _seen(bare) == _seen(through)


def test_nothing_personal_is_in_a_usage(
    twilio: Twilio, sink: list[Usage], answers: TwilioAnswers
) -> None:
    answers.changes = {"num_segments": "0"}
    metered(twilio, sink).create(**SENT)
    assert (False, False) == ("4155552345" in repr(sink), "Hello" in repr(sink))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_of_a_metered_client_works_as_a_bare_one(
    copied: Callable[[Client], Client], twilio_api: StandIn, run: Run, sink: list[Usage]
) -> None:
    twilio = metered(Twilio(twilio_api, run, "sync"), sink)
    del twilio.client.get_hostname  # it cannot be pickled
    apart = copied(twilio.client)
    to_standin(apart, twilio_api.url)
    sid = apart.messages.create(**SENT).sid
    before = len(sink)
    meter_twilio(apart, sink.append, callback_url=None).messages.create(**SENT)
    twilio.close()
    apart.http_client.session.close()
    assert (SID, 0, 1) == (sid, before, len(sink))


def test_what_is_no_twilio_client_is_refused() -> None:
    with pytest.raises(TypeError, match="twilio"):
        meter_twilio(object(), print, callback_url=None)


def _call() -> dict[str, str]:
    return {"to": "+14158675309", "from_": "+14158675308", "url": "https://host.example/twiml"}


def _seen(message: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(message).items() if not name.startswith("_")}
