"""Opens MLX before a test here imports `mlx.core`, since OpenBLAS must come first."""

from gemmalocal.backends import open_backend

open_backend("mlx")
