"""What personal data the inbox holds, whose it is, and how long it is kept.

Importing a module registers what it says (orders.privacy.registry).
"""

from inbox.personal_data import data_subjects, deletion, holdings, impersonal_columns, retention  # noqa: F401
