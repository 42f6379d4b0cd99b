"""No text of a customer, a colleague or a setting adds a header or a recipient to an email."""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from typing import Any, Final

import pytest
from django.core import mail

from inbox.accounts import mail as account_mail
from inbox.channels import email
from inbox.models import Conversation

pytestmark = pytest.mark.django_db
BREAKS: Final = ("\r\n", "\n", "\r", "\r\n\r\n", "\x0b", "\x85", "\u2028", "\r\n ")


@pytest.mark.parametrize("field", ["to", "subject", "message_id", "header", "from", "account"])
def test_no_line_break_reaches_a_header_of_an_email(field: str, settings: Any) -> None:
    sent = 0
    for line_break in BREAKS:
        evil = f"{line_break}Bcc: evil@example.com"
        given = {"to": "jane@example.com", "subject": "Hi", "message_id": "m-1"}
        header = "<https://example.com/"
        if field in given:
            given[field] += evil
        elif field == "header":
            header += evil
        elif field == "from":
            settings.DEFAULT_FROM_EMAIL = f"Inbox{evil} <inbox@example.com>"
        try:
            if field == "account":
                account_mail.deliver("jane@example.com", f"Hi{evil}", "Hello")
            else:
                email.send_mail(**given, text="Hello", headers={"List-Unsubscribe": header})
            raw = mail.outbox[-1].message().as_bytes()
        except (ValueError, HeaderParseError):
            # By Django, or by Python as it writes the message.
            continue
        sent += 1
        head = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
        assert not re.search(rb"(?im)^bcc:", head), (field, line_break)
        assert b"Hello" not in head
        assert not mail.outbox[-1].bcc
    # Subjects lose their line breaks; nothing else may have any.
    assert sent == len(BREAKS) or field != "subject"


def test_a_senders_subject_stays_one_line(conversation: Conversation) -> None:
    for line_break in BREAKS:
        conversation.subject = f"Hi{line_break}Bcc: evil@example.com"
        assert email.subject_of(conversation) == "Hi Bcc: evil@example.com"
