#!/usr/bin/env python3
"""Accepts connections and keeps each until the other side has closed it."""

import asyncio


async def until_closed(reader, writer):
    await reader.read()
    writer.close()


async def main():
    server = await asyncio.start_server(until_closed, "10.9.0.2", 7000, backlog=1024)
    await server.serve_forever()


asyncio.run(main())
