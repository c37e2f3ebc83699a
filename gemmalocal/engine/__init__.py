"""In: a trainer and batches. Out: events. No tensor is seen here."""
