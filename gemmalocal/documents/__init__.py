"""In: a person's files. Out: documents, and passages of them; what cannot be read is refused by name."""
