"""Webhooks to other programs: what happened to actions, decisions and orders.

A message is a row, written in the transaction that made what it tells (`events`). A task sends it
promptly, and the sweep guarantees that none is missed (`sending`). Signed as Standard Webhooks
prescribes; docs/webhooks.md is for those who receive them.
"""
