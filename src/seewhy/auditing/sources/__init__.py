"""What may be wrong: each source looks at the evidence and gives findings, or candidates that interventions decide."""
