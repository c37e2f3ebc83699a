"""Jinja templates that others wrote: sandboxed, and with an end."""
