"""What a GPU would be asked to do, counted from graphs that are built and never computed; no GPU is needed."""
