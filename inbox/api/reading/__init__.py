"""What programs can only read: contacts and their timeline, decisions, policies and reports."""
