"""aiohttp as people use it: the URL as a text. yarl decodes %2F in it."""
import asyncio
import sys

import aiohttp


async def main(url, path):
    async with aiohttp.ClientSession() as session:
        with open(path, "rb") as file:
            async with session.put(url, data=file) as answer:
                print(answer.status, answer.headers.get("x-oncegate-reason", ""))


asyncio.run(main(*sys.argv[1:]))
