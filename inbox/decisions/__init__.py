"""The decisions page: what waits for a person, each list in a module of its own."""
