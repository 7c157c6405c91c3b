"""What people wear: colours and garments, with the labels of the LIP data set for their parts."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from typing import Any

Colour = tuple[float, float, float]

# The label file of "Look into Person" (Gong et al., 2017), which numbers the parts of people.
LIP = {
    "background": 0, "hat": 1, "hair": 2, "glove": 3, "sunglasses": 4, "upper-clothes": 5, "dress": 6, "coat": 7,
    "socks": 8, "pants": 9, "jumpsuits": 10, "scarf": 11, "skirt": 12, "face": 13, "left-arm": 14, "right-arm": 15,
    "left-leg": 16, "right-leg": 17, "left-shoe": 18, "right-shoe": 19,
}  # fmt: skip

SKIN = ((255, 219, 187), (241, 194, 155), (224, 172, 120), (190, 135, 95), (141, 92, 60), (98, 64, 44))
HAIR = ((30, 24, 22), (62, 42, 30), (105, 72, 44), (168, 122, 70), (205, 178, 120), (150, 150, 152), (140, 60, 30))
CLOTH = (
    (196, 52, 48), (38, 78, 150), (54, 120, 82), (232, 226, 214), (44, 46, 56), (228, 168, 52), (120, 70, 140),
    (90, 150, 190), (168, 92, 60), (214, 130, 150), (110, 118, 92), (30, 132, 140),
)  # fmt: skip
TROUSERS = ((40, 54, 92), (58, 58, 62), (112, 98, 78), (158, 140, 112), (74, 92, 120), (36, 36, 42))
SHOES = ((30, 30, 34), (230, 230, 228), (110, 66, 40), (180, 44, 44))


@dataclass(frozen=True)
class Outfit:
    """top: t-shirt, shirt, vest, coat, dress or jumpsuit; bottom: pants, shorts, skirt, or none under dress, jumpsuit.

    hair: short, long, bun or bald; hat: cap, beanie or none; stripes: the second colour of the top, or None.
    """

    skin: Colour
    hair: str
    hair_colour: Colour
    top: str
    top_colour: Colour
    stripes: Colour | None
    bottom: str
    bottom_colour: Colour
    shoe_colour: Colour
    hat: str
    hat_colour: Colour
    scarf: bool
    gloves: bool
    socks: bool
    sunglasses: bool
    accent: Colour  # of scarf, gloves and socks
    build: float  # thickness of body and limbs, 1 is average

    @property
    def top_label(self) -> int:
        return LIP[{"coat": "coat", "dress": "dress", "jumpsuit": "jumpsuits"}.get(self.top, "upper-clothes")]

    @property
    def bottom_label(self) -> int:
        names = {"pants": "pants", "shorts": "pants", "skirt": "skirt"}
        return LIP[names[self.bottom]] if self.bottom in names else self.top_label


def random_outfit(rng: random.Random, **wanted: object) -> Outfit:
    """An outfit at random; `wanted` fixes fields of Outfit."""
    top = rng.choices(("t-shirt", "shirt", "vest", "coat", "dress", "jumpsuit"), (30, 22, 10, 16, 12, 10))[0]
    bottom = rng.choices(("pants", "shorts", "skirt"), (60, 24, 16))[0]
    drawn: dict[str, Any] = {
        "skin": rng.choice(SKIN), "hair": rng.choices(("short", "long", "bun", "bald"), (45, 30, 15, 10))[0],
        "hair_colour": rng.choice(HAIR), "top": top, "top_colour": rng.choice(CLOTH),
        "stripes": rng.choice(CLOTH) if rng.random() < 0.3 else None,
        "bottom": bottom, "bottom_colour": rng.choice(TROUSERS), "shoe_colour": rng.choice(SHOES),
        "hat": rng.choices(("none", "cap", "beanie"), (70, 18, 12))[0], "hat_colour": rng.choice(CLOTH),
        "scarf": rng.random() < 0.15, "gloves": rng.random() < 0.12, "socks": rng.random() < 0.5,
        "sunglasses": rng.random() < 0.18, "accent": rng.choice(CLOTH), "build": 0.9 + 0.3 * rng.random(),
    }  # fmt: skip
    unknown = wanted.keys() - {field.name for field in fields(Outfit)}
    if unknown:
        raise ValueError(f"an outfit has no {', '.join(sorted(unknown))}")
    drawn |= wanted
    if drawn["top"] in ("dress", "jumpsuit"):
        drawn["bottom"], drawn["bottom_colour"] = "none", drawn["top_colour"]
    return Outfit(**drawn)
