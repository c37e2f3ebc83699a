"""Calls of tools as models write them: grammars, and parsers that give the calls back."""
