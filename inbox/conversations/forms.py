"""What agents write and choose around a conversation."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from inbox.accounts import roles
from inbox.models import DraftMode

SNOOZE_HOURS = (1, 4, 24, 168)
# More than a message may have: what is too long to be sent is not lost.
DRAFT_LENGTH = 40_000


class MessageForm(forms.Form):
    """A composer. `mode`: what the address writes that it was sent to."""

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
        """A note sent to the replies' address would reach the customer: neither is written."""
        mode: str = self.cleaned_data["mode"]
        if mode != self._mode:
            raise forms.ValidationError(
                _(
                    "Nothing was sent: the button did not fit the choice above. Check whether this"
                    " is a reply or a note, and press the button again."
                )
            )
        return mode


class DraftForm(forms.Form):
    """A save of what stands in a composer; `follows`, a list, is the view's to read."""

    text = forms.CharField(max_length=DRAFT_LENGTH, strip=False, required=False)
    mode = forms.ChoiceField(choices=DraftMode.choices)
    client_id = forms.UUIDField()
    version = forms.UUIDField()

    def clean_text(self) -> str:
        """With the line ends that the field has; forms are sent with others."""
        text: str = self.cleaned_data["text"]
        return text.replace("\r\n", "\n")


class AssignForm(forms.Form):
    """Empty: nobody."""

    assignee = forms.ModelChoiceField(queryset=User.objects.none(), required=False)

    def __init__(self, data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        self.fields["assignee"].queryset = roles.assignable()  # type: ignore[attr-defined]


class SnoozeForm(forms.Form):
    hours = forms.TypedChoiceField(choices=[(h, str(h)) for h in SNOOZE_HOURS], coerce=int)
