"""What we install from others, and what is known against it."""
