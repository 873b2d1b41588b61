"""The families of models, and what their denoisers predict."""

from __future__ import annotations

from typing import Literal

Family = Literal["sd1", "sd2", "sdxl"]
Prediction = Literal["epsilon", "v_prediction"]
