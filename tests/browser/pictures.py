"""Compare pictures with the stored ones, tile by tile, in the browser itself.

A tile counts as changed where its mean difference is plain to the eye: another machine's edges of
letters pass, a button moved by a few pixels does not. UPDATE_PICTURES=1 takes new ones; look at
them before they are committed.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

FOLDER: Final = Path(__file__).parent / "pictures"
TILE_PX: Final = 16
# Mean difference of a tile's channels, of 255; and how many such tiles are still the same picture.
TILE_DIFFERS: Final = 14.0
TILES_ALLOWED: Final = 2


def compare(page: Page, name: str, shot: bytes, *, may_write: bool = True) -> list[str]:
    """What is wrong with the picture, a line; [] when it is as before."""
    kept = FOLDER / f"{name}.png"
    if may_write and os.environ.get("UPDATE_PICTURES"):
        FOLDER.mkdir(exist_ok=True)
        kept.write_bytes(shot)
        return []
    if not kept.exists():
        return [f"{name}: no picture to compare with (UPDATE_PICTURES=1 takes one)"]
    arguments = {
        "before": base64.b64encode(kept.read_bytes()).decode(),
        "now": base64.b64encode(shot).decode(),
        "tile": TILE_PX,
        "differs": TILE_DIFFERS,
    }
    # A page of its own: the one that is looked at forbids pictures from elsewhere.
    blank = page.context.browser.new_page() if page.context.browser else page
    try:
        found: dict[str, Any] = blank.evaluate(_COMPARE, arguments)
    finally:
        blank.close()
    if found["size"]:
        return [f"{name}: {found['size']}"]
    if len(found["tiles"]) <= TILES_ALLOWED:
        return []
    seen = Path("var/pictures") / f"{name}.png"
    seen.parent.mkdir(parents=True, exist_ok=True)
    seen.write_bytes(shot)
    return [f"{name}: {len(found['tiles'])} tiles differ, first at {found['tiles'][0]}; see {seen}"]


_COMPARE: Final = """async ({before, now, tile, differs}) => {
  const load = async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    return pen.getImageData(0, 0, image.width, image.height);
  };
  const [a, b] = [await load(before), await load(now)];
  if (a.width !== b.width || Math.abs(a.height - b.height) > 1) {
    return {size: `was ${a.width}x${a.height}, is ${b.width}x${b.height}`, tiles: []};
  }
  const tiles = [];
  const height = Math.min(a.height, b.height);
  for (let y = 0; y < height; y += tile) for (let x = 0; x < a.width; x += tile) {
    let sum = 0, count = 0;
    for (let v = y; v < Math.min(y + tile, height); v++) {
      for (let u = x; u < Math.min(x + tile, a.width); u++) {
        const at = (v * a.width + u) * 4;
        for (let c = 0; c < 3; c++) { sum += Math.abs(a.data[at + c] - b.data[at + c]); count++; }
      }
    }
    if (sum / count > differs) tiles.push(`${x},${y}`);
  }
  return {size: "", tiles};
}"""
