"""The REST API: the same services and refusals as the pages."""
