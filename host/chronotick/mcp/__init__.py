"""The Model Context Protocol adapter: a process of its own that gives agents the time as tools and resources.

It reads the host as any client does, from the snapshot and over its local socket, and never talks to the network
inside a call. The official SDK (`mcp`, with pydantic and starlette) is imported here and nowhere else.
"""
