"""What agents write and choose around a conversation."""

from __future__ import annotations

from django import forms
from django.contrib.auth.models import User

from inbox import roles

SNOOZE_HOURS = (1, 4, 24, 168)


class MessageForm(forms.Form):
    text = forms.CharField(max_length=10_000, strip=True)


class AssignForm(forms.Form):
    """Empty: nobody."""

    assignee = forms.ModelChoiceField(queryset=User.objects.none(), required=False)

    def __init__(self, data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        self.fields["assignee"].queryset = roles.assignable()  # type: ignore[attr-defined]


class SnoozeForm(forms.Form):
    hours = forms.TypedChoiceField(choices=[(h, str(h)) for h in SNOOZE_HOURS], coerce=int)
