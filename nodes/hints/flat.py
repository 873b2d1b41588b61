"""Flat regions: each pixel to a colour of a palette, small parts to their surroundings; and objects on a backdrop."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from weft.nodes.hints.arrays import Floats, to_lab

Labels = NDArray[np.int32]
_SAMPLE = 20_000
_ROUNDS = 25
_FOREGROUND = 22.0


def own_palette(picture: Floats, colours: int) -> Floats:
    """The picture's own main colours by k-means in CIELAB: at most `colours`, (n, 3) sRGB in [0, 1].

    Always the same for a picture: the start is the colour nearest to the mean, then always the farthest from those
    chosen.
    """
    points = to_lab(picture).reshape(-1, 3)
    points = points[:: max(1, len(points) // _SAMPLE)]
    centres = points[[np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1))]]
    while len(centres) < colours:
        away = ((points[:, None] - centres[None]) ** 2).sum(axis=2).min(axis=1)
        if away.max() < 1:  # no further colour that an eye would tell apart
            break
        centres = np.concatenate([centres, points[[away.argmax()]]])
    for _ in range(_ROUNDS):
        label = nearest(points, centres)
        moved = np.array([points[label == k].mean(axis=0) if (label == k).any() else c for k, c in enumerate(centres)])
        if np.allclose(moved, centres, atol=1e-3):
            break
        centres = moved.astype(np.float32)
    colour = cv2.cvtColor(centres[None].astype(np.float32), cv2.COLOR_LAB2RGB)[0]
    return np.clip(np.asarray(colour, np.float32), 0, 1)


def flatten(picture: Floats, palette: Floats, smallest: float) -> Floats:
    """Each pixel in the palette's nearest colour by CIELAB, (H, W, 3).

    smallest: connected parts below this share of the picture take the colour of the nearest larger part.
    """
    height, width = picture.shape[:2]
    label = nearest(to_lab(picture).reshape(-1, 3), to_lab(palette[None])[0]).reshape(height, width)
    return palette[absorb(label, smallest * height * width)]


def nearest(points: Floats, centres: Floats) -> Labels:
    """For each of (n, 3) points the index of its nearest centre; one centre at a time, to stay small in memory."""
    best = np.full(len(points), np.inf, np.float32)
    label = np.zeros(len(points), np.int32)
    for index, centre in enumerate(centres):
        away = ((points - centre) ** 2).sum(axis=1)
        closer = away < best
        best[closer] = away[closer]
        label[closer] = index
    return label


def absorb(label: Labels, area: float) -> Labels:
    """Labels (H, W) where connected parts of fewer than `area` pixels take that of the nearest pixel that stays."""
    stays = np.zeros(label.shape, bool)
    largest, largest_part = 0, stays
    for value in np.unique(label):
        count, parts, stats, _ = cv2.connectedComponentsWithStats((label == value).astype(np.uint8), connectivity=4)
        areas = stats[:, cv2.CC_STAT_AREA]
        keep = areas >= area
        keep[0] = False
        stays |= keep[parts]
        if count > 1 and areas[1:].max() > largest:
            largest = int(areas[1:].max())
            largest_part = parts == 1 + areas[1:].argmax()
    if not stays.any():
        stays = largest_part
    # Every pixel that stays has an own number; the transform says which of them is nearest.
    _, owner = cv2.distanceTransformWithLabels(
        (~stays).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_owner = np.zeros(int(owner.max()) + 1, np.int32)
    of_owner[owner[stays]] = label[stays]
    return of_owner[owner]


def backdrop_depth(picture: Floats) -> Floats:
    """Nearness (H, W) in [0, 1] for flat scenes: the backdrop is 0, each object 0.5 to 1, larger ones nearer.

    The backdrop's colour is the median at the picture's border; what differs clearly from it is an object.
    """
    lab = to_lab(picture)
    rim = max(1, min(lab.shape[:2]) // 40)
    border = np.concatenate([part.reshape(-1, 3) for part in (lab[:rim], lab[-rim:], lab[:, :rim], lab[:, -rim:])])
    away = np.linalg.norm(lab - np.median(border, axis=0), axis=2)
    away = cv2.medianBlur(away.astype(np.float32), 3)
    _, parts, stats, _ = cv2.connectedComponentsWithStats((away > _FOREGROUND).astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float32)
    side = np.sqrt(areas / parts.size)
    level = np.where(areas >= 0.002 * parts.size, 0.5 + 0.5 * np.minimum(1, side / 0.6), 0).astype(np.float32)
    level[0] = 0
    return np.clip(cv2.GaussianBlur(level[parts], (0, 0), 0.7), 0, 1)
