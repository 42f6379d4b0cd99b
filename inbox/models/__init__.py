from inbox.accounts.models import FailedLogIn, RoleGrant
from inbox.models.api_tokens import ApiToken, TokenScope
from inbox.models.campaign_messages import CampaignMessage, SendState
from inbox.models.campaigns import (
    CHECKOUT_TRIGGERS,
    Campaign,
    CampaignCondition,
    CampaignText,
    CampaignTranslation,
    CampaignTrigger,
    Comparison,
    Purpose,
    Via,
)
from inbox.models.channels import Channel, ChannelKind
from inbox.models.contacts import Claim, Contact, Identity, IdentityKind
from inbox.models.conversations import (
    Conversation,
    ConversationState,
    DeliveryState,
    Message,
    MessageKind,
)
from inbox.models.customer_views import CustomerView, ViewedKind
from inbox.models.delivery_routes import Route
from inbox.models.frames import FrameCode, FrameKind, HelpDeskFrame
from inbox.models.live import LiveEvent
from inbox.models.notices import NoticeChoice, NoticeState, RequestNotice
from inbox.models.optouts import OptOut
from inbox.models.outgoing_webhooks import (
    OffReason,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookState,
    WebhookType,
)
from inbox.models.participants import Draft, DraftMode, Participant, ReadMark
from inbox.models.teams import Team

__all__ = [
    "CHECKOUT_TRIGGERS",
    "ApiToken",
    "Campaign",
    "CampaignCondition",
    "CampaignMessage",
    "CampaignText",
    "CampaignTranslation",
    "CampaignTrigger",
    "Channel",
    "ChannelKind",
    "Claim",
    "Comparison",
    "Contact",
    "Conversation",
    "ConversationState",
    "CustomerView",
    "DeliveryState",
    "Draft",
    "DraftMode",
    "FailedLogIn",
    "FrameCode",
    "FrameKind",
    "HelpDeskFrame",
    "Identity",
    "IdentityKind",
    "LiveEvent",
    "Message",
    "MessageKind",
    "NoticeChoice",
    "NoticeState",
    "OffReason",
    "OptOut",
    "Participant",
    "Purpose",
    "ReadMark",
    "RequestNotice",
    "RoleGrant",
    "Route",
    "SendState",
    "Team",
    "TokenScope",
    "Via",
    "ViewedKind",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookState",
    "WebhookType",
]
