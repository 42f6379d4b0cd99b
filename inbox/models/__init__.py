from inbox.models.campaigns import (
    Campaign,
    CampaignMessage,
    CampaignTranslation,
    SendState,
    Via,
)
from inbox.models.channels import Channel, ChannelKind
from inbox.models.contacts import Contact, Identity, IdentityKind
from inbox.models.conversations import (
    Conversation,
    ConversationState,
    DeliveryState,
    Message,
    MessageKind,
)

__all__ = [
    "Campaign",
    "CampaignMessage",
    "CampaignTranslation",
    "Channel",
    "ChannelKind",
    "Contact",
    "Conversation",
    "ConversationState",
    "DeliveryState",
    "Identity",
    "IdentityKind",
    "Message",
    "MessageKind",
    "SendState",
    "Via",
]
