"""The channel API, through which messengers push their messages in."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inbox.api.endpoint import Endpoint
from inbox.api.fields import StrictSerializer, TextField, read
from inbox.api.limits import PerChannel
from inbox.channels import keys
from inbox.contacts import proven_addresses
from inbox.conversations import services
from inbox.models import Channel, Message


class ChannelKeyAuthentication(BaseAuthentication):
    """Authenticate `Authorization: Bearer <channel key>`; `request.auth` is the channel."""

    def authenticate(self, request: Request) -> tuple[None, Channel] | None:
        """Return the channel of the key; None without one. Raises AuthenticationFailed."""
        header = get_authorization_header(request).split()
        if len(header) != 2 or header[0].lower() != b"bearer":
            return None
        channel = keys.channel_of(header[1].decode("latin-1"))
        if channel is None:
            raise AuthenticationFailed(
                "The channel key isn't valid. Create a new one in the admin."
            )
        return None, channel

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ChannelKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the key is described in /api/schema/."""

    target_class = ChannelKeyAuthentication
    name = "channelKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class IsOwnChannel(BasePermission):
    """Allow a channel to push only into itself."""

    message = "This key belongs to another channel."

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Compare the key's channel with the one in the URL."""
        channel = request.auth
        return isinstance(channel, Channel) and channel.pk == view.kwargs["channel_id"]


class SenderSerializer(StrictSerializer):
    """The person who wrote, with the addresses the channel knows."""

    external_id = TextField(max_length=200)
    name = TextField(max_length=255, required=False, allow_blank=True, default="")
    email = TextField(max_length=255, required=False, allow_blank=True, default="")
    phone = TextField(max_length=40, required=False, allow_blank=True, default="")
    verified = serializers.ListField(
        child=serializers.ChoiceField(choices=proven_addresses.PROVABLE),
        required=False,
        max_length=10,
        help_text="Which of the addresses the channel has verified. If omitted, none, unless the "
        "channel is set to always verify its senders' addresses.",
    )

    def validate_verified(self, value: list[str]) -> tuple[str, ...]:
        """Freeze the list, as the services expect it."""
        return tuple(value)


class AttachmentSerializer(StrictSerializer):
    """A file that stays with the messenger."""

    name = TextField(max_length=255, required=False, allow_blank=True, default="")
    url = TextField(max_length=2000, required=False, allow_blank=True, default="")
    content_type = TextField(max_length=100, required=False, allow_blank=True, default="")


class IncomingSerializer(StrictSerializer):
    """A customer's message. A repeat is recognized by `external_id`, the channel's own ID."""

    external_id = TextField(max_length=200)
    conversation = TextField(max_length=200)
    sender = SenderSerializer()
    text = TextField(
        required=False,
        allow_blank=True,
        default="",
        help_text="Can be empty, for example for a photo or sticker. Text over 100,000 characters is "
        "cut off there, and agents see that it was.",
    )
    attachments = serializers.ListField(
        child=AttachmentSerializer(),
        required=False,
        max_length=50,
        help_text="Files stored by the messenger. Agents see their names and open their URLs.",
    )
    sent_at = serializers.DateTimeField(required=False)


class MessageSerializer(serializers.ModelSerializer[Message]):
    """A stored message."""

    conversation_id = serializers.IntegerField()

    class Meta:
        model = Message
        fields = ["id", "conversation_id", "kind", "external_id", "text", "created_at"]


class TakenSerializer(MessageSerializer):
    """`not_understood`: which of the sender's addresses couldn't be read, and why."""

    not_understood = serializers.DictField(child=serializers.CharField(), read_only=True)

    class Meta(MessageSerializer.Meta):
        fields = [*MessageSerializer.Meta.fields, "not_understood"]


class ChannelMessages(Endpoint):
    """Where a channel delivers its customers' messages."""

    authentication_classes = [ChannelKeyAuthentication]
    permission_classes = [IsOwnChannel]
    throttle_classes = [PerChannel]

    @extend_schema(
        request=IncomingSerializer, responses={201: TakenSerializer, 200: TakenSerializer}
    )
    def post(self, request: Request, channel_id: int) -> Response:
        """Deliver a customer's message. Repeating it returns 200 and the original message."""
        data: dict[str, Any] = read(IncomingSerializer, request)
        now = timezone.now()
        channel = request.auth
        if not isinstance(channel, Channel):
            raise AuthenticationFailed
        sender = services.Sender(**data["sender"])
        message, is_new = services.receive(
            channel=channel,
            external_id=data["external_id"],
            conversation_id=data["conversation"],
            sender=sender,
            text=data["text"],
            # A messenger whose clock is ahead must not pin a conversation to the top.
            sent_at=min(data.get("sent_at", now), now),
            attachments=[services.Attachment(**found) for found in data.get("attachments", ())],
        )
        unclear = services.addresses_of(channel, sender).not_understood
        said = {address.kind: proven_addresses.why_not_understood(address) for address in unclear}
        body = {**MessageSerializer(message).data, "not_understood": said}
        return Response(body, status=201 if is_new else 200)
