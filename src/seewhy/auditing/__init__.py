"""What a model leans on, over a folder of photos: rows, candidates, interventions, findings."""
