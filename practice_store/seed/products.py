"""What the shop sells."""

from __future__ import annotations

from typing import Final

# Title, variant, SKU and price.
Product = tuple[str, str | None, str, str]

PRODUCTS: Final[tuple[Product, ...]] = (
    ("Red mug", "350 ml", "MUG-RED", "19.90"),
    ("Blue mug", "350 ml", "MUG-BLU", "19.90"),
    ("Linen apron", "Natural / M", "APR-NAT-M", "39.00"),
    ("Espresso beans “Aurora”", "1 kg", "BEAN-AUR-1K", "28.50"),
    ("Pour-over kettle", "Matte black", "KET-BLK", "89.00"),
    ("Paper filters", "100 pcs", "FIL-100", "4.20"),
    ("Hand grinder", "Steel", "GRD-STL", "74.90"),
    ("Tea towel set", "3 pcs", "TWL-3", "17.00"),
    ("Ceramic dripper", "02 / White", "DRP-02-W", "24.00"),
    (
        "Travel tumbler, double-walled, leak-proof, with a very long name that has to wrap",
        "470 ml",
        "TMB-470",
        "32.00",
    ),
    ("Gift wrapping & ribbon", None, "GIFT-WRAP", "3.50"),
)
