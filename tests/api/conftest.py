"""A run that calls a tool, made once for the tests of calls, is asked from Python too."""

from __future__ import annotations

from tests.tool_calls.conftest import caller_home

__all__ = ["caller_home"]
