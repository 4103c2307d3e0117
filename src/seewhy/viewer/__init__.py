"""One viewer, in custom elements, and what its hosts need to embed it: it knows no explanations, only their data."""
