"""Spearman's rank correlation."""

from __future__ import annotations

import torch
from torch import Tensor


def centred_ranks(values: Tensor) -> Tensor:
    """(N, K) -> ranks within each row, centred, of unit length: an inner product is Spearman's correlation.

    Equal values share the mean of their ranks; a row in which nothing varies is zero.
    """
    ordered, where = values.sort(1)
    rank = torch.arange(values.shape[1], dtype=torch.float64, device=values.device)
    rows = []
    for row in ordered:
        _, group, counts = torch.unique_consecutive(row, return_inverse=True, return_counts=True)
        rows.append((rank.new_zeros(len(counts)).index_add(0, group, rank) / counts)[group])
    tied = torch.zeros_like(values, dtype=torch.float64).scatter(1, where, torch.stack(rows))
    centred = tied - tied.mean(1, keepdim=True)
    length: Tensor = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    return torch.where(length > 1e-9, centred / length.clamp(min=1e-9), 0.0)


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's, of the rows of (B, M), averaged; 1 where neither row varies, 0 where only one does."""
    x, y = centred_ranks(a), centred_ranks(b)
    correlation = (x * y).sum(1)
    flat = ~x.any(1) & ~y.any(1)
    return float(torch.where(flat, 1.0, correlation).mean())
