"""Classifiers: the embedded one, those of torchvision, timm and transformers, and people's own."""

from .classifier import Classifier
from .loaders import load
from .preprocessing import BorrowedPreprocessing, Preprocessing

__all__ = ["BorrowedPreprocessing", "Classifier", "Preprocessing", "load"]
