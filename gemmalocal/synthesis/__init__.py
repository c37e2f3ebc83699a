"""In: passages, and something to ask. Out: rows with their evidence, and what was rejected with its reason."""
