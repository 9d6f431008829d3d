"""The SendGrid hook, on the real package over real HTTP."""

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from python_http_client.exceptions import BadRequestsError
from sendgrid import SendGridAPIClient
from sendgrid.base_interface import region_host_dict
from sendgrid.helpers.mail import (
    BatchId,
    Category,
    CustomArg,
    Mail,
    MailSettings,
    SandBoxMode,
    SendAt,
)

from meterline.context import working_for
from meterline.sendgrid_hook import meter_sendgrid
from meterline.usage import Usage
from tests.standins.sendgrid_api import MESSAGE_ID, accept
from tests.standins.server import StandIn

FEATURES = {"booking_confirmation": "booking_email", "d-123": "portal_email"}


@pytest.fixture(scope="module")
def sendgrid_api() -> Iterator[StandIn]:
    standin = StandIn(accept)
    yield standin
    standin.close()


@pytest.fixture
def bare(sendgrid_api: StandIn) -> SendGridAPIClient:
    return SendGridAPIClient("key", host=sendgrid_api.url)


@pytest.fixture
def client(bare: SendGridAPIClient, sink: list[Usage]) -> SendGridAPIClient:
    assert bare is meter_sendgrid(bare, sink.append, feature_map=FEATURES)
    return bare


def mail(to: object = "jo@example.org") -> Mail:
    return Mail("us@example.com", to, "Your booking", plain_text_content="See you, Jo")


def features(sink: list[Usage]) -> list[str | None]:
    return [usage.feature for usage in sink]


def test_an_accepted_mailing_counts_every_recipient(
    client: SendGridAPIClient, sink: list[Usage]
) -> None:
    message = mail(["a@example.org", "b@example.org"])
    message.add_cc("c@example.org")
    message.add_bcc("d@example.org")
    with working_for("acme", "broadcast"):
        client.send(message)
    fields = ("email", "outbound", "sendgrid", "acme", "broadcast", 4)
    assert [(MESSAGE_ID, *fields, {})] == [(usage.id, *usage[2:]) for usage in sink]


def test_recipients_are_counted_as_they_are_sent_not_as_they_were_given(
    client: SendGridAPIClient, sink: list[Usage]
) -> None:
    client.send(mail(["a@x.example", "A@x.example"]))
    assert [1] == [usage.quantity for usage in sink]


def test_a_mailing_that_is_posted_as_a_body_is_metered(
    client: SendGridAPIClient, sink: list[Usage]
) -> None:
    body = {
        "personalizations": [
            {"to": [{"email": "a@example.org"}]},
            {"to": [{"email": "b@example.org"}], "cc": [{"email": "c@example.org"}]},
        ]
    }
    client.client.mail.send.post(request_body=body)
    assert [3] == [usage.quantity for usage in sink]


def test_the_sandbox_counts_nothing(client: SendGridAPIClient, sink: list[Usage]) -> None:
    message = mail()
    message.mail_settings = MailSettings(sandbox_mode=SandBoxMode(enable=True))
    assert (200, []) == (client.send(message).status_code, sink)


def test_a_mailing_that_was_only_checked_counts_nothing(
    client: SendGridAPIClient, sink: list[Usage]
) -> None:
    body = {"subject": "checked", "personalizations": [{"to": [{"email": "a@example.org"}]}]}
    client.client.mail.send.post(request_body=body)
    assert [] == sink


def test_a_refused_mailing_counts_nothing_and_raises_as_ever(
    client: SendGridAPIClient, sink: list[Usage]
) -> None:
    with pytest.raises(BadRequestsError):
        client.client.mail.send.post(request_body={"subject": "for nobody"})
    assert [] == sink


def test_other_requests_count_nothing(client: SendGridAPIClient, sink: list[Usage]) -> None:
    client.client.suppression.bounces.get()
    client.client._("mail/batch").post()
    assert [] == sink


def test_a_custom_argument_names_the_feature(client: SendGridAPIClient, sink: list[Usage]) -> None:
    message = mail()
    message.add_custom_arg(CustomArg("feature", "support_reply"))
    client.send(message)
    assert ["support_reply"] == features(sink)


def test_a_custom_argument_that_is_in_the_map_is_translated(
    client: SendGridAPIClient, sink: list[Usage]
) -> None:
    message = mail()
    message.add_custom_arg(CustomArg("feature", "booking_confirmation"))
    client.send(message)
    assert ["booking_email"] == features(sink)


@pytest.mark.parametrize("argument", ["15551234567", "Jo Doe", "jo@example.org"])
def test_a_custom_argument_that_may_be_personal_is_no_feature(
    argument: str, client: SendGridAPIClient, sink: list[Usage]
) -> None:
    message = mail()
    message.add_custom_arg(CustomArg("feature", argument))
    client.send(message)
    assert [None] == features(sink)


def test_a_category_in_the_map_names_the_feature(
    client: SendGridAPIClient, sink: list[Usage]
) -> None:
    message = mail()
    message.add_category(Category("newsletter"))
    message.add_category(Category("booking_confirmation"))
    client.send(message)
    assert ["booking_email"] == features(sink)


def test_a_template_in_the_map_names_the_feature_and_is_kept(
    client: SendGridAPIClient, sink: list[Usage]
) -> None:
    message = mail()
    message.template_id = "d-123"
    client.send(message)
    assert [("portal_email", {"template_id": "d-123"})] == [(u.feature, u.metadata) for u in sink]


def test_the_feature_of_the_context_comes_first(
    client: SendGridAPIClient, sink: list[Usage]
) -> None:
    message = mail()
    message.add_category(Category("booking_confirmation"))
    with working_for("acme", "broadcast"):
        client.send(message)
    assert ["broadcast"] == features(sink)


def test_a_mailing_that_can_still_be_canceled_is_provisional(
    client: SendGridAPIClient, sink: list[Usage]
) -> None:
    message = mail()
    message.send_at = SendAt(1_900_000_000)
    message.batch_id = BatchId("b1")
    client.send(message)
    assert [{"provisional": True}] == [usage.metadata for usage in sink]


def test_a_client_that_is_metered_twice_counts_once(
    client: SendGridAPIClient, sink: list[Usage]
) -> None:
    other: list[Usage] = []
    meter_sendgrid(client, sink.append, feature_map={})
    meter_sendgrid(client, other.append, feature_map={})
    client.send(mail())
    assert (1, []) == (len(sink), other)


def test_a_client_stays_metered_when_it_changes_its_region(
    client: SendGridAPIClient,
    sink: list[Usage],
    sendgrid_api: StandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(region_host_dict, "eu", sendgrid_api.url)
    client.set_sendgrid_data_residency("eu")
    client.send(mail())
    assert [1] == [usage.quantity for usage in sink]


def test_the_caller_sees_what_the_caller_of_a_bare_client_sees(sendgrid_api: StandIn) -> None:
    def fail(usage: Usage) -> None:
        raise RuntimeError(usage.id)

    def seen(client: SendGridAPIClient) -> list[Any]:
        response = client.send(mail())
        headers = {k: v for k, v in response.headers.items() if k.lower() != "date"}
        return [response.status_code, response.body, headers, type(client.client).__name__]

    bare = SendGridAPIClient("key", host=sendgrid_api.url)
    metered = SendGridAPIClient("key", host=sendgrid_api.url)
    meter_sendgrid(metered, fail, feature_map=FEATURES)
    assert seen(bare) == seen(metered)


def test_nothing_personal_is_in_a_usage(client: SendGridAPIClient, sink: list[Usage]) -> None:
    client.send(mail())
    text = repr(sink)
    assert [] == [word for word in ("example", "booking", "See you", "Jo") if word in text]


def test_what_is_no_sendgrid_client_is_refused() -> None:
    with pytest.raises(TypeError, match="sendgrid"):
        meter_sendgrid(object(), print, feature_map={})


def unpickled(client: Any) -> Any:
    return pickle.loads(pickle.dumps(client))


@pytest.mark.parametrize(("copied", "counts"), [(copy.copy, 1), (unpickled, 0)])
def test_a_shallow_copy_of_what_sends_is_metered_and_a_pickled_one_is_bare(
    copied: Callable[[Any], Any], counts: int, client: SendGridAPIClient, sink: list[Usage]
) -> None:
    apart = copied(client.client)
    answer = apart.mail.send.post(request_body=mail().get())
    assert (202, counts) == (answer.status_code, len(sink))


def test_a_pickled_copy_of_a_metered_client_can_be_metered(
    client: SendGridAPIClient, sink: list[Usage]
) -> None:
    apart = unpickled(client)
    apart.send(mail())
    before = len(sink)
    meter_sendgrid(apart, sink.append, feature_map=FEATURES).send(mail())
    client.send(mail())
    assert (0, 2) == (before, len(sink))
