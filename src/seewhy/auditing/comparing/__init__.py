"""Two models, or two audits, side by side."""
