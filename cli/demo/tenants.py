"""The invented tenants: who they are, how much they do on a weekday, and what it is they do."""

from dataclasses import dataclass

from cli.demo.activities import (
    Activity,
    booking_mail,
    call_made,
    call_taken,
    campaign_mms,
    campaign_sms,
    mail_received,
    newsletter,
    picture_received,
    plain_sms,
    portal_mail,
    summary,
    support_chat,
    text_answered,
    voicemail,
    voicemail_transcribed,
)
from costing.budgets.budget import Budget
from costing.budgets.periods import Period
from ledger.money import parse_usd
from ledger.tenant import TenantId

Habits = tuple[tuple[Activity, float], ...]
"""Activities and their shares of what a tenant does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Burst:
    """A few days on which a tenant does one thing many times as often.

    `first` and `last` are days before today, the earlier one first.
    """

    activity: Activity
    factor: float
    first: int
    last: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoTenant:
    """An invented tenant.

    Attributes:
        weekday: acts on a usual weekday of today's size.
        growth: the part of today's size that was added within 90 days; negative: it shrank.
        weekend: acts on a day of the weekend for one on a weekday.
        since: days since it came; None: it was always there.
        budgets: what it means to spend, set when it came.
    """

    tenant_id: TenantId
    name: str
    plan: str
    timezone: str
    weekday: float
    habits: Habits
    growth: float
    model: str
    weekend: float = 0.2
    since: int | None = None
    burst: Burst | None = None
    budgets: tuple[Budget, ...] = ()


_STARTER, _PRO, _ELITE = "Starter", "Pro", "Elite"

_BERLIN, _LONDON = "Europe/Berlin", "Europe/London"
_NEW_YORK, _CHICAGO, _PACIFIC = "America/New_York", "America/Chicago", "America/Los_Angeles"
_ST_JOHNS, _SAO_PAULO = "America/St_Johns", "America/Sao_Paulo"
_KARACHI, _KOLKATA, _KATHMANDU = "Asia/Karachi", "Asia/Kolkata", "Asia/Kathmandu"
_APIA, _SYDNEY = "Pacific/Apia", "Australia/Sydney"

_SMALL, _LARGE = "gpt-4o-mini", "gpt-4.1"
_NEWER, _OTHER = "gpt-5-mini", "gpt-4.1-mini"

_CLINIC: Habits = (
    (booking_mail, 0.36),
    (text_answered, 0.14),
    (call_taken, 0.22),
    (voicemail, 0.06),
    (campaign_sms, 0.22),
)
_SHOP: Habits = (
    (campaign_sms, 0.5),
    (campaign_mms, 0.08),
    (newsletter, 0.02),
    (portal_mail, 0.3),
    (call_made, 0.1),
)
_WORKSHOP: Habits = (
    (call_taken, 0.3),
    (call_made, 0.14),
    (booking_mail, 0.3),
    (picture_received, 0.06),
    (text_answered, 0.2),
)
_TALKER: Habits = ((text_answered, 0.75), (picture_received, 0.05), (booking_mail, 0.2))
_DESK: Habits = ((support_chat, 0.45), (portal_mail, 0.35), (text_answered, 0.2))
_CASES: Habits = ((support_chat, 0.3), (summary, 0.2), (call_taken, 0.25), (mail_received, 0.25))
_SWITCHBOARD: Habits = ((call_taken, 0.55), (call_made, 0.2), (voicemail_transcribed, 0.25))
_MAILER: Habits = ((portal_mail, 0.5), (booking_mail, 0.42), (newsletter, 0.08))
_INBOX: Habits = ((portal_mail, 0.55), (mail_received, 0.3), (call_taken, 0.15))
_EARLIER: Habits = ((plain_sms, 0.7), (call_taken, 0.15), (portal_mail, 0.15))


def _tenant(  # noqa: PLR0913, PLR0917 - one line a tenant is a table that can be read
    name: str,
    plan: str,
    timezone: str,
    weekday: float,
    habits: Habits,
    growth: float = 0.2,
    model: str = _SMALL,
) -> DemoTenant:
    return DemoTenant(
        tenant_id=TenantId(name.lower().replace(" ", "-")), name=name, plan=plan,
        timezone=timezone, weekday=weekday, habits=habits, growth=growth, model=model,
    )  # fmt: skip


_SPECIAL = (
    DemoTenant(
        tenant_id=TenantId("lantern-support-desk"), name="Lantern Support Desk", plan=_ELITE,
        timezone=_BERLIN, weekday=100, habits=_DESK, growth=0.55, model=_LARGE,
        burst=Burst(activity=support_chat, factor=6, first=5, last=4),
    ),
    DemoTenant(
        tenant_id=TenantId("meadow-garden-market"), name="Meadow Garden Market", plan=_PRO,
        timezone=_CHICAGO, weekday=150, habits=_SHOP, growth=0.3, model=_SMALL, weekend=0.45,
        burst=Burst(activity=campaign_sms, factor=0.1, first=3, last=3),  # most sends failed
    ),
    DemoTenant(
        tenant_id=TenantId("fresh-start-tutoring"), name="Fresh Start Tutoring", plan=_STARTER,
        timezone=_NEW_YORK, weekday=22, habits=_TALKER, growth=0.9, model=_NEWER, since=10,
    ),
    DemoTenant(
        tenant_id=TenantId("coral-reef-rentals"), name="Coral Reef Rentals", plan=_PRO,
        timezone=_APIA, weekday=80, habits=_WORKSHOP, growth=0.35, model=_LARGE,
        budgets=(
            Budget(period=Period.MONTHLY, feature=None, amount=parse_usd("60")),
            Budget(period=Period.MONTHLY, feature="ai_sms", amount=parse_usd("12")),
        ),
    ),
    DemoTenant(
        tenant_id=TenantId("quiet-corner-archive"), name="Quiet Corner Archive", plan=_STARTER,
        timezone=_LONDON, weekday=0, habits=(), growth=0, model=_SMALL,
    ),
)  # fmt: skip

TENANTS = (
    *_SPECIAL,
    _tenant("Harbour Physiotherapy", _ELITE, _ST_JOHNS, 150, _CLINIC, 0.25),
    _tenant("Seven Bridges Reminders", _ELITE, _NEW_YORK, 170, _EARLIER, 0.1),
    _tenant("Orchard Hotline", _ELITE, _KARACHI, 105, _TALKER, 0.5, _NEWER),
    _tenant("Blue Door Dental Group", _ELITE, _BERLIN, 100, _CLINIC, 0.2, _OTHER),
    _tenant("Riverbend Claims Office", _ELITE, _PACIFIC, 60, _CASES, 0.4, _LARGE),
    _tenant("Windmill Mail Order", _ELITE, _LONDON, 100, _MAILER, 0.15),
    _tenant("North Quay Ferries", _ELITE, _SYDNEY, 70, _SWITCHBOARD, 0.3, _OTHER),
    _tenant("Market Street Opticians", _PRO, _KARACHI, 75, _CLINIC, 0.2),
    _tenant("Stone Mill Bakery Chain", _PRO, _BERLIN, 95, _SHOP, 0.1),
    _tenant("Green Valley Vets", _PRO, _CHICAGO, 85, _CLINIC, 0.3, _NEWER),
    _tenant("Hilltop Heating Service", _PRO, _ST_JOHNS, 60, _WORKSHOP, -0.4),
    _tenant("Paper Boat Travel", _PRO, _KOLKATA, 70, _DESK, 0.6, _NEWER),
    _tenant("Old Town Law Office", _PRO, _LONDON, 40, _CASES, 0.2, _OTHER),
    _tenant("Silver Birch Property", _PRO, _PACIFIC, 55, _INBOX, 0.1),
    _tenant("Copper Lane Plumbing", _PRO, _NEW_YORK, 65, _WORKSHOP, 0.25),
    _tenant("Sunrise Driving School", _PRO, _SAO_PAULO, 65, _TALKER, 0.45),
    _tenant("Cedar Park Housing", _PRO, _CHICAGO, 50, _SWITCHBOARD, 0.05),
    _tenant("Maple Row Pharmacy", _PRO, _NEW_YORK, 100, _EARLIER, -0.2),
    _tenant("Bright Window Cleaning", _STARTER, _BERLIN, 14, _WORKSHOP, 0.3),
    _tenant("Little Oak Nursery", _STARTER, _LONDON, 10, _MAILER, 0.1),
    _tenant("High Pass Outdoor Tours", _STARTER, _KATHMANDU, 18, _TALKER, 0.6, _OTHER),
    _tenant("Two Rivers Bike Repair", _STARTER, _PACIFIC, 9, _WORKSHOP, 0.2),
    _tenant("Amber Street Tailors", _STARTER, _KARACHI, 12, _CLINIC, 0.1),
    _tenant("Lagoon Guest House", _STARTER, _APIA, 7, _INBOX, 0.3),
    _tenant("Foggy Point Charters", _STARTER, _ST_JOHNS, 8, _TALKER, -0.3),
    _tenant("Corner House Music", _STARTER, _CHICAGO, 15, _MAILER, 0.2),
    _tenant("Red Gate Stables", _STARTER, _LONDON, 6, _CLINIC, 0.0),
    _tenant("Long Meadow Farm Shop", _STARTER, _SYDNEY, 16, _SHOP, 0.4),
    _tenant("Steady Hand Locksmiths", _STARTER, _NEW_YORK, 11, _SWITCHBOARD, 0.1),
    _tenant("Clear Water Pools", _STARTER, _PACIFIC, 13, _WORKSHOP, 0.5),
    _tenant("Night Owl Help Line", _STARTER, _BERLIN, 12, _DESK, 0.7, _NEWER),
    _tenant("Tin Roof Theatre", _STARTER, _SAO_PAULO, 9, _SHOP, 0.0),
    _tenant("White Pebble Yoga", _STARTER, _KOLKATA, 10, _CLINIC, 0.3),
    _tenant("Slow River Canoes", _STARTER, _CHICAGO, 4, _EARLIER, -0.1),
    _tenant("Third Floor Repairs", _STARTER, _BERLIN, 5, _INBOX, 0.2),
)
