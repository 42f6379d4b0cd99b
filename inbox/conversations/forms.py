"""Forms for what agents write and choose in a conversation."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from inbox.models import DraftMode, Team

SNOOZE_HOURS = (1, 4, 24, 168)
# More than a message may have, so that a text too long to send isn't lost.
DRAFT_LENGTH = 40_000


class MessageForm(forms.Form):
    """The composer. `mode` is what the URL it was posted to writes: a reply or a note."""

    text = forms.CharField(max_length=10_000, strip=True)
    mode = forms.ChoiceField(choices=DraftMode.choices)

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        mode: DraftMode = DraftMode.REPLY,
        **more: Any,
    ) -> None:
        if data is not None and not data.get("mode"):
            data = data.copy()
            data["mode"] = mode
        super().__init__(data, **more)
        self._mode = mode

    def clean_mode(self) -> str:
        """Refuse a mode that doesn't match the URL: a note posted to the reply URL would reach the
        customer."""
        mode: str = self.cleaned_data["mode"]
        if mode != self._mode:
            raise forms.ValidationError(
                _(
                    "Nothing was sent: the button didn’t match the option selected above. "
                    "Check whether this is a reply or a note, then press the button again."
                )
            )
        return mode


class DraftForm(forms.Form):
    """A draft save. The view reads `follows` itself, because it is a list."""

    text = forms.CharField(max_length=DRAFT_LENGTH, strip=False, required=False)
    mode = forms.ChoiceField(choices=DraftMode.choices)
    client_id = forms.UUIDField()
    version = forms.UUIDField()

    def clean_text(self) -> str:
        """Convert the CRLF of submitted forms back to the LF that the textarea has."""
        text: str = self.cleaned_data["text"]
        return text.replace("\r\n", "\n")


class AssignForm(forms.Form):
    """Choose an assignee; empty means unassigned."""

    assignee = forms.ModelChoiceField(queryset=User.objects.none(), required=False)

    def __init__(self, data: object = None, *, agents: QuerySet[User]) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        self.fields["assignee"].queryset = agents  # type: ignore[attr-defined]


class MoveForm(forms.Form):
    """Choose the team to move a conversation to: any team, also one the agent isn't in."""

    team = forms.ModelChoiceField(queryset=Team.objects.all())


class SnoozeForm(forms.Form):
    """Choose for how many hours to snooze."""

    hours = forms.TypedChoiceField(choices=[(h, str(h)) for h in SNOOZE_HOURS], coerce=int)
