"""Remedies: what can be done about a finding without training the whole network again."""
