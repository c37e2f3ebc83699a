"""mlx-lm's own server, with our OpenBLAS in front of MLX: `python -m gemmalocal.backends.mlx.serve`, its arguments."""

from mlx_lm.server import main

if __name__ == "__main__":
    main()
