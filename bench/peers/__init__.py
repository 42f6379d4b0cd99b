"""Other webhook receivers, each written as its own documentation shows it, and two bare ones."""
