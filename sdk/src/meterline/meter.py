"""`Meter`: what a host application makes once and uses everywhere."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from meterline.clock import now
from meterline.context import Scope, current_scope, working_for
from meterline.stats import Stats
from meterline.usage import Scalar, Sink, Usage

if TYPE_CHECKING:
    from meterline.delivery.delivery import Delivery

ClientT = TypeVar("ClientT")

DEFAULT_MAX_BYTES = 64 * 1024 * 1024
FEATURE_OF_TEMPLATE = {"booking_confirmation": "booking_email"}


class Meter:
    """Meters the calls of provider clients, and whatever else it is told, per tenant.

    It is safe to use from any thread, in asyncio, and across forks. Make one for a process, at
    import or before workers are forked.

    Args:
        url: where the collector is, such as `https://meter.example`.
        api_key: a key of scope `ingest`: `meterline key create --scope ingest`.
        spool: a folder on a local disk, shared by any number of processes of one host. What was
            recorded survives a kill of the process there. None: everything is in memory.
        max_bytes: how large the spool may become, all processes together.
        when_full: `drop-oldest` or `drop-newest`: what is lost when the spool is full.
        interval: seconds between a call and the request that ships it, at most.
        timeout: seconds for each step of a request.
        exit_timeout: seconds for a last flush when the interpreter ends.

    Raises:
        ValueError: an argument makes no sense. A spool folder that cannot be used does not raise:
            it is logged, and usage waits in memory until it can.
    """

    def __init__(  # noqa: PLR0913 - settings, each named
        self,
        url: str,
        api_key: str,
        *,
        spool: str | os.PathLike[str] | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
        when_full: str = "drop-oldest",
        interval: float = 1.0,
        timeout: float = 10.0,
        exit_timeout: float = 2.0,
    ) -> None:
        # Imported here and not above: `import meterline` is for every module of an application, and
        # what delivers is started once.
        from meterline.delivery.building import build_delivery  # noqa: PLC0415

        self._delivery: Delivery = build_delivery(
            url=url,
            api_key=api_key,
            spool=spool,
            max_bytes=max_bytes,
            when_full=when_full,
            interval=interval,
            timeout=timeout,
            exit_timeout=exit_timeout,
        )

    def context(
        self, tenant: str | None = None, feature: str | None = None
    ) -> AbstractContextManager[Scope]:
        """Book what is used inside on this tenant and feature; what is not given stays as it was.

        It is carried by `contextvars`: asyncio tasks have it on their own, threads have it when
        they are started with a copied context, as `asyncio.to_thread` does.
        """
        return working_for(tenant, feature)

    def record(  # noqa: PLR0913 - the fields of an event, each named
        self,
        *,
        channel: str,
        direction: str,
        quantity: float | None = None,
        source: str | None = None,
        feature: str | None = None,
        tenant: str | None = None,
        metadata: Mapping[str, Scalar] | None = None,
        event_id: str | None = None,
        at: datetime | float | None = None,
    ) -> str:
        """Record any usage; return its id.

        Args:
            channel: `sms`, `mms`, `voice`, `email` or `ai`.
            direction: `inbound` or `outbound`.
            quantity: segments, messages, minutes, recipients or tokens.
            source: who provided it, a slug.
            feature: what it was used for, a slug; by default that of the context.
            tenant: whose usage it is; by default that of the context.
            metadata: counts and small scalars. Content, addresses and phone numbers are left out.
            event_id: the provider's own id, where there is one: usage is booked once for each. By
                default one is made.
            at: when it happened, in seconds since 1970 or with an offset; by default now.
        """
        identity = os.urandom(16).hex() if event_id is None else event_id
        scope = current_scope()
        self._delivery.take(
            Usage(
                id=identity,
                time=now() if at is None else at,  # type: ignore[arg-type] # see `encode_usage`
                channel=channel,
                direction=direction,
                source=source,
                tenant=scope.tenant if tenant is None else tenant,
                feature=scope.feature if feature is None else feature,
                quantity=quantity,  # type: ignore[arg-type] # see `encode_usage`
                metadata={} if metadata is None else metadata,
            )
        )
        return identity

    def record_usage(
        self, tenant_id: str, channel: str, direction: str, quantity: float = 1
    ) -> str:
        """Record usage as SP-3 did, without source and feature; return its id."""
        return self.record(
            tenant=tenant_id, channel=channel, direction=direction, quantity=quantity
        )

    # The modules of the providers are imported where they are used: `import meterline` needs none
    # of the providers' packages.

    def openai(self, client: ClientT, *, inject_stream_usage: bool | None = None) -> ClientT:
        """Meter an OpenAI client, sync or async; return the same client.

        Args:
            client: an `OpenAI`, `AsyncOpenAI`, `AzureOpenAI`, or what was made from one.
            inject_stream_usage: ask for the usage of streamed chats; the caller never sees the
                chunk that brings it. By default where the host is OpenAI itself: others may
                refuse a request that asks.
        """

        def wrap(sink: Sink) -> ClientT:
            from meterline.openai_hook import knows_usage_option, meter_openai  # noqa: PLC0415

            inject = (
                knows_usage_option(client) if inject_stream_usage is None else inject_stream_usage
            )
            return meter_openai(client, sink, inject_stream_usage=inject)

        return self._wrap(client, wrap)

    def twilio(
        self,
        client: ClientT,
        *,
        callback_url: str | None = None,
        message_callback_url: str | None = None,
    ) -> ClientT:
        """Meter a Twilio client; return the same client.

        Args:
            client: a `twilio.rest.Client`.
            callback_url: of the collector's webhook for calls, which tells their minutes; added to
                a call that is created without one.
            message_callback_url: the same for messages, whose final status may change what they
                cost. It also takes the place of a callback that their messaging service has.
        """

        def wrap(sink: Sink) -> ClientT:
            from meterline.twilio_hook import meter_twilio  # noqa: PLC0415

            return meter_twilio(
                client,
                sink,
                callback_url=callback_url,
                message_callback_url=message_callback_url,
            )

        return self._wrap(client, wrap)

    def sendgrid(
        self, client: ClientT, *, feature_map: Mapping[str, str] = FEATURE_OF_TEMPLATE
    ) -> ClientT:
        """Meter a SendGrid client; return the same client.

        Args:
            client: a `SendGridAPIClient`.
            feature_map: from a custom argument, category or template id to a feature.
        """

        def wrap(sink: Sink) -> ClientT:
            from meterline.sendgrid_hook import meter_sendgrid  # noqa: PLC0415

            return meter_sendgrid(client, sink, feature_map=feature_map)

        return self._wrap(client, wrap)

    def redeliver(self) -> int:
        """Send dead letters again, once what they were refused for is mended; return how many.

        Raises:
            OSError: the file of dead letters cannot be read or written.
        """
        return self._delivery.redeliver()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that this process recorded before has its result; tell whether it has.

        It comes back early, with False, where all that is left waits for a tenant to be known.
        """
        return self._delivery.flush(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Flush, and stop for good; what is left in a spool folder is sent by another process."""
        return self._delivery.close(timeout)

    def stats(self) -> Stats:
        """Return what became of the usage of this process."""
        return self._delivery.stats()

    def _wrap(self, client: ClientT, wrap: Callable[[Sink], ClientT]) -> ClientT:
        """Wrap a client; one that cannot be wrapped is told in the log and goes unmetered."""
        try:
            return wrap(self._delivery.take)
        except Exception as error:  # noqa: BLE001 - an application without metering goes on working
            self._delivery.tell_unhooked(client, error)
            return client
