"""Doors on loopback: where they stand, whom they let in, how many at once. For all but the browser and MCP."""
