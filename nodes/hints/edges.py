"""Edges of pictures, without weights."""

from __future__ import annotations

import math

import cv2
import numpy as np

from weft.nodes.hints.arrays import Floats, to_bytes

_ROOT = math.sqrt(2 * math.pi)


def canny(picture: Floats, low: float, high: float, blur: float) -> Floats:
    """Thin lines of 1, (H, W). Thresholds are gradients of 0..255 values by a 3 x 3 Sobel, |x| + |y|; blur in px.

    All three colours are looked at, so two colours of one brightness have an edge between them.
    """
    grey = to_bytes(picture)
    if blur:
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), blur), np.uint8)
    return (cv2.Canny(grey, low, high) > 0).astype(np.float32)


def soft(picture: Floats, scales: int, gain: float) -> Floats:
    """Contrast across each pixel, (H, W) in [0, 1]: the mean over Gaussians of 1, 2, 4 ... px.

    A gradient at scale s is multiplied by s sqrt(2 pi): then a step of height h gives h on its line at every scale,
    and a texture finer than s gives little, as it does to an eye that takes in the whole.
    """
    total = np.zeros(picture.shape[:2], np.float32)
    for level in range(scales):
        sigma = 2.0**level
        # Mirrored edges have no gradient across the border, so the frame draws no line of its own.
        smooth = cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        across, down = np.abs(np.diff(smooth, axis=1)), np.abs(np.diff(smooth, axis=0))
        # The steeper of the two sides of a pixel: the difference over both would soften fine edges by a fifth.
        wide = np.maximum(np.pad(across, ((0, 0), (1, 0), (0, 0))), np.pad(across, ((0, 0), (0, 1), (0, 0))))
        tall = np.maximum(np.pad(down, ((1, 0), (0, 0), (0, 0))), np.pad(down, ((0, 1), (0, 0), (0, 0))))
        total += np.hypot(wide, tall).max(axis=2) * np.float32(sigma * _ROOT)
    return np.clip(total * np.float32(gain / scales), 0, 1)


def scribble(picture: Floats, contrast: float, blur: float, shortest: float, width: int) -> Floats:
    """Few thick lines of 1, (H, W): edges of at least this contrast after a blur of `blur` px.

    shortest: lines below this length, as a share of the longer side, are left out. width: of the lines in px.
    """
    smooth = cv2.GaussianBlur(to_bytes(picture), (0, 0), blur)
    # A step of height h under a Gaussian has the slope h / (sigma sqrt(2 pi)); Sobel's 3 x 3 multiplies by 8.
    high = contrast * 255 * 8 / (blur * _ROOT)
    lines = cv2.Canny(np.asarray(smooth, np.uint8), 0.4 * high, high, L2gradient=True)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(lines, connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= shortest * max(picture.shape[:2])
    keep[0] = False
    drawn = keep[parts].astype(np.uint8) if count > 1 else np.zeros(lines.shape, np.uint8)
    if width > 1:
        drawn = np.asarray(cv2.dilate(drawn, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))), np.uint8)
    return drawn.astype(np.float32)
