"""Which passwords are good enough, and who is sent a link to set a new one.

Length and resistance to guessing count, not the kinds of characters (NIST SP 800-63B). The lists of
breached and common passwords are on this machine: no password, nor a part of its hash, leaves it.
"""

from __future__ import annotations

from typing import Final

from allauth.account.forms import ResetPasswordForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from zxcvbn import zxcvbn

# Of zxcvbn's 0 to 4: at least 10^8 guesses, far more than throttling lets through in a lifetime.
_LEAST_SCORE: Final = 3
# What zxcvbn reads; it takes too long beyond. A longer password is past guessing.
_READ: Final = 72


class GuessablePasswordValidator:
    """Refuse passwords from breaches, names, keyboard patterns, and simple variations of them."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ValidationError if the password can be guessed."""
        own = ["agent inbox", "agentinbox", "shopify"]
        if user is not None:
            own += [user.username, user.first_name, user.last_name, *user.email.split("@")]
        found = zxcvbn(password[:_READ], user_inputs=[word for word in own if word])
        if found["score"] < _LEAST_SCORE:
            raise ValidationError(
                _("This password is too easy to guess. Use a few unrelated words, for example."),
                code="password_too_guessable",
            )

    def get_help_text(self) -> str:
        return _("A few unrelated words are easy to remember and hard to guess.")


class ResetByEmail(ResetPasswordForm):
    """Send the link to the address on the account, and to no other that was ever known."""

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        self.users = list(User.objects.filter(email__iexact=email, is_active=True)[:5])
        # Links are limited by this value: each spelling that the database takes for the same
        # address must count toward one limit.
        return self.users[0].email if self.users else email
