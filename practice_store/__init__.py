"""A stand-in for Shopify, with its Admin schema, its own state and its own process.

It never sees the product's database, and the product reaches it only through SHOPIFY_ADMIN_ORIGIN.
"""
