"""The papers. `docs/generate` writes those that the code gives."""
