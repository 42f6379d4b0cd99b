"""Other people's webhook receivers, each as its own documentation shows it, and two bare ones."""
