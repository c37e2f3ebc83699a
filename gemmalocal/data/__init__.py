"""In: rows. Out: records, examples (ids and weights), micro-batches."""
