"""One pass over the photos: what is kept of each."""
