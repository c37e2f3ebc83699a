#!/usr/bin/env bash
# MLX's CUDA build as a stand-in for a GPU's stream: order, compiling, bfloat16 and memory of our loop, not Metal's speed.
#
#     benchmarks/device_mlx.sh [--tiny]
#
# As device.sh, with MLX on the card and on the CPU. It needs CUDA 13's driver. ENVIRONMENT and PYTHON as there. With
# --tiny, and without a driver, MLX's CPU build is tried in place of the CUDA one.
set -euo pipefail
cd "$(dirname "$0")/.."
has_driver() {
    python3 -c 'import ctypes as c; v = c.c_int(); c.CDLL("libcuda.so.1").cuDriverGetVersion(c.byref(v))
assert v.value >= 13_000' 2>/dev/null
}
if ! has_driver; then
    if [[ " $* " != *" --tiny "* ]]; then
        echo "There is no NVIDIA driver for CUDA 13 here. On a machine without a card, try it with --tiny." >&2
        exit 3
    fi
    echo "There is no NVIDIA driver for CUDA 13 here: MLX's CPU build is tried in place of its CUDA build." >&2
fi
if [ -z "${PYTHON:-}" ]; then
    environment=${ENVIRONMENT:-.venv-device-mlx}
    [ -x "$environment/bin/python" ] || python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --upgrade ".[torch,demo]"
    if has_driver; then
        mlx=$("$environment/bin/python" -c "import importlib.metadata as m; print(m.version('mlx'))")
        "$environment/bin/pip" uninstall --quiet --yes mlx-cpu
        "$environment/bin/pip" install --quiet --force-reinstall --no-deps "mlx==$mlx"
        "$environment/bin/pip" install --quiet "mlx[cuda13]==$mlx"
    fi
    PYTHON="$environment/bin/python"
fi
exec "$PYTHON" -m benchmarks.device --engine mlx "$@"
