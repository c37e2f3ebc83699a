"""A run's model behind OpenAI's protocol: one front that reads requests, and engines that are asked what is clean.

`front` speaks HTTP, `body` and `requests` hold what was sent against the protocol, `answers` words what comes back.
Whatever a request brings, an engine sees an `Ask` whose every number it can bear.
"""
