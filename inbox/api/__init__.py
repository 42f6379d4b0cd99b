"""The REST door: the same verbs and refusals as the pages."""
