#!/usr/bin/env bash
# On a machine with an NVIDIA card and Python 3.11 or newer, in eight minutes and what installing takes before:
#
#     benchmarks/device.sh [--tiny]
#
# trains the quotes and a Gemma 3 4B of random weights in bfloat16 and in NF4, beside TRL, PEFT and bitsandbytes, and
# prints one table. It needs 25 GB of disk. With --tiny it is a try with tiny models, also where there is no card.
# ENVIRONMENT names a folder for the Python environment (.venv-device); PYTHON an interpreter that has all, instead.
set -euo pipefail
cd "$(dirname "$0")/.."
has_driver() { python3 -c 'import ctypes; ctypes.CDLL("libcuda.so.1")' 2>/dev/null; }
if [[ " $* " != *" --tiny "* ]] && ! has_driver; then
    echo "There is no NVIDIA driver here (libcuda.so.1). On a machine without a card, try it with --tiny." >&2
    exit 3
fi
if [ -z "${PYTHON:-}" ]; then
    environment=${ENVIRONMENT:-.venv-device}
    [ -x "$environment/bin/python" ] || python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --upgrade ".[cuda,demo]" peft trl
    PYTHON="$environment/bin/python"
fi
exec "$PYTHON" -m benchmarks.device --engine torch "$@"
