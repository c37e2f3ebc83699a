#!/usr/bin/env bash
# MLX's CUDA build as a stand-in for a GPU's stream: order, compiling, bfloat16 and memory of our loop, not Metal's speed.
#
#     benchmarks/device_mlx.sh [--tiny]
#
# As device.sh, with MLX on the card and on the CPU. It needs CUDA 13's driver. ENVIRONMENT and PYTHON as there.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
    environment=${ENVIRONMENT:-.venv-device-mlx}
    [ -x "$environment/bin/python" ] || python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --upgrade ".[torch,demo]"
    mlx=$("$environment/bin/python" -c "import importlib.metadata as m; print(m.version('mlx'))")
    "$environment/bin/pip" uninstall --quiet --yes mlx-cpu
    "$environment/bin/pip" install --quiet --force-reinstall --no-deps "mlx==$mlx"
    "$environment/bin/pip" install --quiet "mlx[cuda13]==$mlx"
    PYTHON="$environment/bin/python"
fi
exec "$PYTHON" -m benchmarks.device --engine mlx "$@"
