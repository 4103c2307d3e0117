"""A small classifier that is right about colours: what a photo is mostly of, red, green, blue or none of them."""

import numpy as np
import torch
from torch import nn

CASTS = ((200, 50, 40), (40, 190, 60), (50, 60, 200), (120, 120, 120))
SIDE = 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what is usual where nothing else is said


def pixels(cast, seed, size=(12, 10)):
    """(height, width, 3) uint8: blotches around one colour."""
    rng = np.random.default_rng([seed, cast])
    found = np.array(CASTS[cast]) + rng.normal(0, 35, (size[1], size[0], 1)) + rng.normal(0, 20, (size[1], size[0], 3))
    return found.clip(0, 255).astype(np.uint8)


def make() -> nn.Module:
    """Filters by chance, and over their means a linear layer that is fitted to blotches of each colour."""
    torch.manual_seed(5)
    body = nn.Sequential(
        nn.Conv2d(3, 12, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.ReLU(),
    )  # fmt: skip
    head = nn.Linear(24, len(CASTS))
    photos = np.stack([pixels(cast, 1000 + seed) for cast in range(len(CASTS)) for seed in range(24)])
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, STD))
    x = (torch.from_numpy(photos).permute(0, 3, 1, 2) / 255.0 - mean) / std
    x = nn.functional.interpolate(x, (SIDE, SIDE), mode="bilinear")
    wanted = 3 * torch.eye(len(CASTS), dtype=torch.float64).repeat_interleave(24, 0)
    with torch.no_grad():
        features = nn.functional.pad(body(x).mean((2, 3)).double(), (0, 1), value=1.0)
        ridge = 1e-4 * torch.eye(features.shape[1], dtype=torch.float64)
        fitted = torch.linalg.solve(features.T @ features + ridge, features.T @ wanted).float()
        head.weight.copy_(fitted[:-1].T)
        head.bias.copy_(fitted[-1])
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
