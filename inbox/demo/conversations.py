"""What the practice shop's customers write; seed_demo pushes it through the channel API.

Names, addresses and order numbers match the practice store's stories; a test keeps them in sync.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Copied:
    """Another person who writes in a customer's conversation."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Said:
    """One message, sent `hours_ago` before the demo was set up.

    `by` is the agent's username; empty means the customer or, if set, the person `copied`.
    """

    hours_ago: float
    text: str
    by: str = ""
    is_note: bool = False
    copied: Copied | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """One customer's conversation. `order` is the order it is about, `assignee` a username."""

    key: str
    name: str
    email: str
    phone: str
    said: tuple[Said, ...]
    order: str = ""
    assignee: str = ""
    language: str = ""
    # Comes through the chat widget, whose visitors may type any address.
    is_unproven: bool = False


CONVERSATIONS: Final = (
    Story(
        "jane-cancel",
        "Jane Doe",
        "jane@example.com",
        "+4915112345678",
        (
            Said(2.0, "Hi! I ordered the wrong kettle, order #1043. Can you cancel it please?"),
            Said(1.6, "Hello Jane, of course. Let me have a look at it.", by="alice"),
            Said(0.13, "Thank you! You may keep the mug's price if that is easier 🙂"),
            Said(0.11, "VIP, be generous.", by="sara", is_note=True),
        ),
        order="#1043",
        assignee="alice",
    ),
    Story(
        "amir-refund",
        "Amir Haddad",
        "amir@example.com",
        "+96522212345",
        (
            Said(
                0.1,
                "The grinder of order #1050 arrived with a cracked handle. I have photos. "
                "Do I have to send it back?",
            ),
        ),
        order="#1050",
        assignee="alice",
    ),
    Story(
        "jane-unpaid",
        "Jane Doe",
        "jane@example.com",
        "+4915112345678",
        (Said(0.08, "I never paid for #1031 and do not want the apron any more."),),
        order="#1031",
        assignee="alice",
    ),
    Story(
        "greta-parts",
        "Greta Lindholm",
        "greta@example.com",
        "",
        (Said(0.5, "I paid for three of the five tiles so far, where are they? #1055"),),
        order="#1055",
    ),
    Story(
        "tom-parcels",
        "Tom Becker",
        "tom.becker@example.com",
        "",
        (
            Said(30.0, "Two of my five mugs should be here today. Where are the other three?"),
            Said(29.5, "They travel in a second parcel, Tom. I'll keep an eye on it.", by="bob"),
            Said(1.8, "The first one is out for delivery now, thanks. And #1060 part two?"),
        ),
        order="#1060",
        assignee="bob",
    ),
    Story(
        "hanako",
        "花子 山田",
        "hanako@example.jp",
        "",
        (Said(1.6, "注文 #1065 のふきんセットはいつ届きますか？よろしくお願いします。"),),
        order="#1065",
        language="ja",
    ),
    Story(
        "aisha",
        "عائشة الهاشمي",
        "aisha@example.com",
        "",
        (Said(1.4, "مرحبًا، أود إلغاء الطلب #1070 واسترداد المبلغ من فضلكم. شكرًا جزيلًا!"),),
        order="#1070",
        assignee="alice",
        language="ar",
    ),
    Story(
        "liam-outstanding",
        "Liam Murphy",
        "liam@example.ie",
        "",
        (
            Said(27.0, "You canceled #1075 last week and I still have no money back. When?"),
            Said(
                26.0,
                "Copying in: I do the books for Liam. Please send the receipt to me as well.",
                copied=Copied("Orla Byrne", "orla@byrne-books.example"),
            ),
        ),
        order="#1075",
    ),
    Story(
        "sofia-cod",
        "Sofia Rossi",
        "sofia@example.it",
        "",
        (Said(9.0, "Ciao, ho pagato in contanti. Posso restituire il caffè dell'ordine #1080?"),),
        order="#1080",
        assignee="bob",
        language="it",
    ),
    Story(
        "noah-shipped",
        "Noah Andersson",
        "noah@example.se",
        "",
        (Said(1.1, "Can I still cancel #1085? The tracking says it is on its way already."),),
        order="#1085",
        assignee="alice",
    ),
    Story(
        "emma-return",
        "Emma de Vries",
        "emma@example.nl",
        "",
        (
            Said(50.0, "I sent #1090 back yesterday."),
            Said(49.0, "Thank you Emma, we refund it as soon as it is at our center.", by="bob"),
            Said(0.9, "It says it was received. May I have my money now?"),
        ),
        order="#1090",
        assignee="bob",
    ),
    Story(
        "oliver-authorized",
        "Oliver Smith",
        "oliver@example.co.uk",
        "",
        (Said(0.7, "My bank shows a hold for #1095, have I paid or not?"),),
        order="#1095",
    ),
    Story(
        "nobody",
        "Ben",
        "",
        "",
        (Said(6.0, "hey do you ship to Switzerland?"),),
    ),
    Story(
        "stranger",
        "Chloé Dubois",
        "chloe.dubois@example.fr",
        "",
        (Said(5.5, "Bonjour, je ne trouve plus mon numéro de commande. Pouvez-vous m'aider ?"),),
        language="fr",
    ),
    Story(
        "long",
        "Maximilian-Alexander von Hohenstein-Wittgenberg zu Lauenburg",
        "max@example.at",
        "",
        (
            Said(
                8.0,
                "Sehr geehrte Damen und Herren, " + "ich möchte mich ausdrücklich bedanken. " * 8,
            ),
        ),
        language="de",
    ),
    Story(
        "marie-which",
        "Marie Laurent",
        "marie@example.fr",
        "",
        (Said(38.0, "Hello, please cancel my last order, I chose the wrong grinder."),),
        assignee="alice",
    ),
    Story(
        "robin-stranger",
        "Robin Vogt",
        "robin.vogt@example.net",
        "+4915112345678",
        (Said(4.0, "Cancel my order #1043 and refund me, please."),),
        assignee="alice",
        is_unproven=True,
    ),
    Story(
        "paul-addresses",
        "Paul Weber",
        "paul@example.de",
        "",
        (Said(40.0, "Hi, I ordered a kettle too, but I do not find the confirmation."),),
        assignee="alice",
    ),
)
