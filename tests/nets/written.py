"""What the tests of networks as people write them share."""

import torch
from torch import nn


def head(channels=8, classes=5):
    return nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def by_definition(model, x, target, window=12, stride=10):
    """(B, 1, H, W): each mask alone in a forward of its own, and the drops averaged pixel by pixel."""
    height, width = x.shape[2:]
    maps = []
    for image in x:
        total, count = torch.zeros(height, width), torch.zeros(height, width)

        def score(picture):
            with torch.no_grad():
                outputs = model(picture[None].clone())
            return float(outputs.flatten()[target] if outputs.shape[1] > 1 else outputs.flatten()[0])

        whole = score(image)
        for top in range(0, height - window + stride, stride):
            for left in range(0, width - window + stride, stride):
                hidden = image.clone()
                hidden[:, top : top + window, left : left + window] = 0
                total[top : top + window, left : left + window] += whole - score(hidden)
                count[top : top + window, left : left + window] += 1
        maps.append(total / count.clamp(min=1))
    return torch.stack(maps)[:, None]
