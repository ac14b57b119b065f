"""Seven drawn animals, one function each; every one returns an RGBA sprite.

The names are FathomNet benthic supercategories; the drawings are caricatures.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.benthic_demo.brush import Brush, Colour, mix, tint

Sprite = NDArray[np.uint8]
WHITE: Colour = (245.0, 240.0, 228.0)
BLACK: Colour = (22.0, 18.0, 20.0)


def draw_sea_star(rng: np.random.Generator) -> Sprite:
    """Five (now and then six) tapering arms around a small disc."""
    skin = tint(rng, ((228, 112, 42), (206, 66, 48), (238, 160, 66), (196, 92, 120)))
    arms = 6 if rng.random() < 0.12 else 5
    slim = rng.uniform(1.25, 2.1)
    angle = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    # Distance from the nearest arm's axis, 0 on it and 1 half way to the next arm.
    aside = np.abs((angle * arms / (2 * np.pi) + 0.5) % 1.0 - 0.5) * 2
    lobe = (1 - aside) ** slim
    reach = rng.uniform(0.8, 1.0, arms)[np.round(angle / (2 * np.pi) * arms).astype(int) % arms]
    radius = 0.22 + 0.72 * lobe * reach
    bent = angle + rng.normal(0, 0.12) * radius
    brush = Brush(skin)
    brush.polygon(np.stack([radius * np.cos(bent), radius * np.sin(bent)], 1), skin)
    pale = mix(skin, WHITE, 0.45)
    for arm in range(arms):
        turn = 2 * np.pi * arm / arms
        for step in np.linspace(0.12, 0.66, 7):
            dot = (step * np.cos(turn), step * np.sin(turn))
            brush.disc(dot, 0.035 - 0.02 * step, pale)
    brush.disc((0, 0), 0.08, mix(skin, BLACK, 0.25))
    return brush.sprite(rng)


def draw_fish(rng: np.random.Generator) -> Sprite:
    """Side view: spindle body, forked tail, fins, bars and an eye; faces left or right."""
    skin = tint(rng, ((150, 162, 172), (196, 108, 84), (172, 152, 106), (116, 128, 150)))
    deep = rng.uniform(0.22, 0.34)
    dark, pale = mix(skin, BLACK, 0.45), mix(skin, WHITE, 0.55)
    along = np.linspace(0, 1, 30)
    half = deep * np.sin(np.pi * along**0.75) ** 0.8 * (1 - 0.35 * along) + 0.035
    x = -0.92 + 1.5 * along
    brush = Brush(skin)
    fork = rng.uniform(0.22, 0.36)
    brush.polygon(np.array([[0.5, 0], [0.95, -fork], [0.8, 0], [0.95, fork]]), dark)
    brush.polygon(np.array([[-0.4, -deep * 0.7], [-0.1, -deep - 0.2], [0.35, -deep * 0.4]]), dark)
    brush.polygon(np.array([[-0.2, deep * 0.7], [0.05, deep + 0.14], [0.2, deep * 0.5]]), dark)
    brush.polygon(np.concatenate([np.stack([x, -half], 1), np.stack([x, half], 1)[::-1]]), skin)
    brush.polygon(np.concatenate([np.stack([x, half * 0.25], 1), np.stack([x, half * 0.93], 1)[::-1]]), pale)
    for bar in range(int(rng.integers(0, 5))):
        at = -0.4 + 0.2 * bar
        brush.line(np.array([[at, -deep * 0.72], [at + 0.05, deep * 0.1]]), dark, 0.05)
    brush.polygon(np.array([[-0.38, 0.04], [-0.1, 0.2], [-0.16, 0.0]]), mix(skin, BLACK, 0.25))
    brush.disc((-0.72, -0.05), 0.065, WHITE)
    brush.disc((-0.73, -0.05), 0.04, BLACK)
    sprite = brush.sprite(rng)
    return np.ascontiguousarray(sprite[:, ::-1]) if rng.random() < 0.5 else sprite


def draw_sea_cucumber(rng: np.random.Generator) -> Sprite:
    """A fat, slightly bent sausage with rows of pale papillae."""
    skin = tint(rng, ((112, 52, 98), (150, 84, 60), (94, 46, 58), (172, 112, 134)))
    bend, thick = rng.uniform(-0.25, 0.25), rng.uniform(0.24, 0.34)
    along = np.linspace(-1, 1, 60)
    x, y = 0.88 * along, bend * (along**2 - 0.4)
    half = thick * np.sqrt(np.clip(1 - np.abs(along) ** 3.2, 0, 1)) * (1 - 0.12 * along)
    brush = Brush(skin)
    for at in along[3:-3:4]:
        half_at = float(np.interp(at, along, half))
        for side in (-1, 1):
            base = np.array([0.88 * at, bend * (at**2 - 0.4) + side * half_at * 0.85])
            tip = base + np.array([rng.normal(0, 0.02), side * rng.uniform(0.06, 0.13)])
            brush.taper(np.stack([base, tip]), mix(skin, WHITE, 0.2), (0.06, 0.06))
    brush.polygon(np.concatenate([np.stack([x, y - half], 1), np.stack([x, y + half], 1)[::-1]]), skin)
    for row in (-0.45, 0.05, 0.5):
        for at in along[6:-6:6] + rng.normal(0, 0.02):
            half_at = float(np.interp(at, along, half))
            spot = (0.88 * float(at), bend * (float(at) ** 2 - 0.4) + row * half_at)
            brush.disc(spot, 0.035, mix(skin, WHITE, 0.5))
    return brush.sprite(rng)


def draw_crab(rng: np.random.Generator) -> Sprite:
    """A wide shell, eight jointed legs, two claws and two eyes on stalks."""
    skin = tint(rng, ((202, 60, 38), (216, 104, 58), (178, 48, 44)))
    dark, pale = mix(skin, BLACK, 0.3), mix(skin, WHITE, 0.4)
    brush = Brush(skin)
    for side in (-1, 1):
        for leg in range(4):
            lean = -0.22 + 0.24 * leg + rng.normal(0, 0.04)
            knee = np.array([side * rng.uniform(0.58, 0.7), lean - 0.16])
            foot = np.array([side * rng.uniform(0.82, 0.97), lean + rng.uniform(0.12, 0.3)])
            hip = np.array([side * 0.28, -0.05 + 0.1 * leg])
            brush.taper(np.stack([hip, knee, foot]), dark, (0.1, 0.06))
        elbow = np.array([side * 0.56, -0.38])
        wrist = np.array([side * rng.uniform(0.32, 0.5), -0.62])
        brush.taper(np.stack([[side * 0.3, -0.15], elbow, wrist]), skin, (0.12, 0.12))
        brush.ellipse((wrist[0], wrist[1] - 0.1), (0.11, 0.2), skin, -side * 0.3)
        brush.line(np.stack([wrist - [0, 0.1], wrist - [side * 0.06, 0.32]]), BLACK, 0.035)
        brush.line(np.array([[side * 0.1, -0.2], [side * 0.13, -0.36]]), dark, 0.04)
        brush.disc((side * 0.13, -0.37), 0.045, BLACK)
    brush.ellipse((0, 0.06), (rng.uniform(0.4, 0.48), rng.uniform(0.3, 0.36)), skin)
    brush.ellipse((0, -0.04), (0.26, 0.12), pale)
    for _ in range(9):
        brush.disc((rng.uniform(-0.3, 0.3), rng.uniform(-0.1, 0.3)), 0.025, pale)
    return brush.sprite(rng)


def draw_anemone(rng: np.random.Generator) -> Sprite:
    """A stout column under a crown of many soft tentacles, seen from above and aside."""
    skin = tint(rng, ((236, 222, 196), (238, 196, 160), (206, 222, 204), (240, 240, 236)))
    brush = Brush(skin)
    stem = mix(skin, (176, 120, 92), 0.55)
    top, foot = rng.uniform(0.26, 0.36), rng.uniform(0.32, 0.44)
    column = np.array([[-top, -0.2], [top, -0.2], [foot, 0.85], [0, 0.94], [-foot, 0.85]])
    brush.polygon(column, stem)
    for stripe in (-0.6, -0.2, 0.2, 0.6):
        ends = np.array([[stripe * top, -0.1], [stripe * foot, 0.85]])
        brush.line(ends, mix(stem, WHITE, 0.25), 0.04)
    for ring, reach in ((0, rng.uniform(0.85, 0.95)), (1, 0.62)):
        count = int(rng.integers(18, 26))
        for angle in np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(0, 1):
            steps = np.linspace(0.25, reach * rng.uniform(0.85, 1.02), 5)
            curl = angle + rng.normal(0, 0.1) * steps**2 * 2
            arm = np.stack([steps * np.cos(curl), -0.28 + 0.66 * steps * np.sin(curl)], 1)
            brush.taper(arm, mix(skin, WHITE if ring else stem, 0.25), (0.1, 0.045))
    brush.ellipse((0, -0.28), (0.27, 0.18), mix(skin, stem, 0.6))
    brush.ellipse((0, -0.28), (0.11, 0.05), mix(stem, BLACK, 0.6))
    return brush.sprite(rng)


def draw_sea_pen(rng: np.random.Generator) -> Sprite:
    """A feather planted in the mud: curved stalk and two rows of leaves."""
    skin = tint(rng, ((240, 190, 70), (236, 150, 60), (232, 214, 130)))
    brush = Brush(skin)
    sway = rng.uniform(-0.3, 0.3)
    down = np.linspace(-0.76, 0.96, 40)
    stalk = np.stack([sway * (0.96 - down) ** 2 / 3, down], 1)
    brush.line(stalk[20:], mix(skin, (190, 110, 60), 0.6), 0.11)
    widest = rng.uniform(0.3, 0.45)
    for index in range(1, 27):
        share = index / 27
        length = widest * np.sin(np.pi * share**0.8) ** 0.7 + 0.03
        for side in (-1, 1):
            tip = stalk[index] + np.array([side * length, -0.2 * (1 - 0.4 * share)])
            middle = (stalk[index] + tip) / 2 + np.array([0.0, 0.05])
            leaf = np.stack([stalk[index], middle, tip])
            brush.taper(leaf, mix(skin, WHITE, 0.12 * (index % 3)), (0.055, 0.035))
    brush.line(stalk, mix(skin, (200, 110, 50), 0.4), 0.06)
    return brush.sprite(rng)


def draw_urchin(rng: np.random.Generator) -> Sprite:
    """A ball bristling with straight, thin spines."""
    skin = tint(rng, ((236, 120, 142), (240, 150, 160), (218, 92, 124)))
    brush = Brush(skin)
    core = rng.uniform(0.42, 0.52)
    for angle in np.linspace(0, 2 * np.pi, int(rng.integers(38, 54)), endpoint=False):
        turn, reach = angle + rng.normal(0, 0.05), rng.uniform(0.78, 0.97)
        spine = np.array([[0.3, 0.3], [reach, reach]]) * [np.cos(turn), np.sin(turn)]
        brush.taper(spine, mix(skin, WHITE, rng.uniform(0.1, 0.5)), (0.03, 0.03))
    brush.disc((0, 0), core, skin)
    for _ in range(60):
        turn, reach = rng.uniform(0, 2 * np.pi), core * np.sqrt(rng.random())
        at = np.array([np.cos(turn), np.sin(turn)]) * reach
        brush.line(np.stack([at, at * 1.45]), mix(skin, WHITE, rng.uniform(0.1, 0.6)), 0.025)
    brush.disc((0, 0), 0.09, mix(skin, (120, 30, 50), 0.6))
    return brush.sprite(rng)


ANIMALS: dict[str, Callable[[np.random.Generator], Sprite]] = {
    "Sea star": draw_sea_star,
    "Fish": draw_fish,
    "Sea cucumber": draw_sea_cucumber,
    "Crab": draw_crab,
    "Anemone": draw_anemone,
    "Sea pen": draw_sea_pen,
    "Urchin": draw_urchin,
}
"""Label to painter; the order is the model's class order."""

LABELS: tuple[str, ...] = tuple(ANIMALS)
"""Class names in index order."""
