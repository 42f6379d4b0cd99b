"""A stand-in for Shopify: its Admin schema, its own state, its own process.

It never sees the product's database, and the product reaches it by SHOPIFY_ADMIN_ORIGIN only.
"""
