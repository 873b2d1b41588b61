"""Keypoints of people by a ViTPose model, and their drawing as the skeletons of OpenPose."""

from __future__ import annotations

import colorsys
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from weft.nodes.hints import models
from weft.nodes.hints.arrays import Floats
from weft.nodes.models.errors import ModelError

Box = tuple[float, float, float, float]
"""Left, top, width, height in pixels."""

COCO = 17
# OpenPose's 18 points by COCO's 17 (nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles; left first).
# None is the neck, which COCO lacks: the middle between the shoulders.
_FROM_COCO = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10)),
    *((1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
# Limb and joint number k have the hue k / 18: red at the right shoulder, round to pink at the ears.
_COLOURS = [tuple(round(255 * part) for part in colorsys.hsv_to_rgb(k / 18, 1, 1)) for k in range(18)]
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MARGIN = 1.25


def keypoints(picture: Floats, boxes: list[Box], folder: Path, device: str) -> Floats:
    """COCO keypoints of each boxed person: (n, 17, 3) of x, y in pixels and a score in [0, 1].

    Raises:
        ModelError: the model finds other points than COCO's 17.
    """
    settings = models.read_config(folder, "preprocessor_config.json")
    mean = np.array(settings.get("image_mean", _MEAN), np.float32)
    std = np.array(settings.get("image_std", _STD), np.float32)
    with models.loaded(folder, "VitPoseForPoseEstimation", device) as model:
        height, width = model.config.backbone_config.image_size
        wide = [_widened(box, width / height) for box in boxes]
        crops = np.stack([(_crop(picture, box, width, height) - mean) / std for box in wide])
        pixels = torch.from_numpy(crops.astype(np.float32)).permute(0, 3, 1, 2).contiguous().to(device)
        extra: dict[str, Any] = {}
        if getattr(model.config.backbone_config, "num_experts", 1) > 1:
            # Models for several data sets have an expert for each; the first is COCO's.
            extra["dataset_index"] = torch.zeros(len(boxes), dtype=torch.long, device=device)
        with torch.no_grad():
            maps = model(pixel_values=pixels, **extra).heatmaps.float().cpu().numpy()
    if maps.shape[1] != COCO:
        raise ModelError(f"the keypoint model in {folder} finds {maps.shape[1]} points where COCO's {COCO} are needed")
    return np.stack([_peaks(each, box) for each, box in zip(maps, wide, strict=True)])


def draw(people: Floats, height: int, width: int, threshold: float) -> Floats:
    """Skeletons on black, (height, width, 3) in [0, 1]: limbs at 60 % under joints at full colour.

    people: (n, 17, 3) as `keypoints` gives them; points with a score below `threshold` are left out.
    """
    canvas = np.zeros((height, width, 3), np.uint8)
    unit = max(1.0, min(height, width) / 512)  # OpenPose draws 4 px wide at 512
    joints = [_openpose(person, threshold) for person in people]
    for points in joints:
        for colour, (a, b) in zip(_COLOURS, _LIMBS, strict=False):
            start, end = points[a], points[b]
            if start is None or end is None:
                continue
            across, down = end[0] - start[0], end[1] - start[1]
            middle = (round((start[0] + end[0]) / 2), round((start[1] + end[1]) / 2))
            axes = (max(1, round(math.hypot(across, down) / 2)), max(1, round(4 * unit)))
            angle = round(math.degrees(math.atan2(down, across)))
            outline = np.array(cv2.ellipse2Poly(middle, axes, angle, 0, 360, 5))
            cv2.fillConvexPoly(canvas, outline, [round(0.6 * part) for part in colour])
    for points in joints:
        for colour, point in zip(_COLOURS, points, strict=True):
            if point is not None:
                cv2.circle(canvas, (round(point[0]), round(point[1])), max(1, round(4 * unit)), colour, -1)
    return canvas.astype(np.float32) / np.float32(255)


def _openpose(person: Floats, threshold: float) -> list[tuple[float, float] | None]:
    def point(index: int) -> tuple[float, float] | None:
        x, y, score = (float(number) for number in person[index])
        return (x, y) if score >= threshold else None

    left, right = point(5), point(6)
    neck = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2) if left and right else None
    return [neck if index is None else point(index) for index in _FROM_COCO]


def _widened(box: Box, aspect: float) -> Box:
    """A box of the model's shape around the person's, with a margin, as centre x, centre y, width, height."""
    left, top, width, height = box
    shape = (max(width, height * aspect) * _MARGIN, max(height, width / aspect) * _MARGIN)
    return (left + width / 2, top + height / 2, *shape)


def _crop(picture: Floats, box: Box, width: int, height: int) -> Floats:
    """The box at the model's size. The outermost pixels' centres lie on the box's edges, as in ViTPose's training."""
    x, y, across, down = box
    to_source = np.array(
        [[across / (width - 1), 0, x - across / 2], [0, down / (height - 1), y - down / 2]], np.float64
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, to_source, (width, height), flags=flags), np.float32)


def _peaks(maps: Floats, box: Box) -> Floats:
    """The highest place of each map (17, h, w), moved a quarter towards its higher neighbours: x, y, score."""
    x0, y0, across, down = box
    height, width = maps.shape[1:]
    found = np.empty((len(maps), 3), np.float32)
    for index, heat in enumerate(maps):
        row, column = divmod(int(heat.argmax()), width)
        x, y = float(column), float(row)
        if 0 < column < width - 1 and 0 < row < height - 1:
            x += 0.25 * float(np.sign(heat[row, column + 1] - heat[row, column - 1]))
            y += 0.25 * float(np.sign(heat[row + 1, column] - heat[row - 1, column]))
        score = float(np.clip(heat[row, column], 0, 1))
        found[index] = (x0 + (x / (width - 1) - 0.5) * across, y0 + (y / (height - 1) - 0.5) * down, score)
    return found
