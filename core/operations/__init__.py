"""Backups of the whole database, made and restored with PostgreSQL's own client programs."""
