"""torch, and a transformers that has it: MLX may have been opened first, which brings transformers without.

A test that needs both imports them from here; in tests/backends, where most do, conftest.py has.
"""

from gemmalocal.backends import transformers_import

transformers_import.forget()

import torch  # noqa: E402
import transformers  # noqa: E402

__all__ = ["torch", "transformers"]
