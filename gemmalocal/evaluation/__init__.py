"""Whether a tune helped: pure functions of texts and numbers, which see no model and no run."""
