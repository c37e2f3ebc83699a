"""Files of ours and of others: where they are, written whole, read within bounds."""
