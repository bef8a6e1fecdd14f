"""Search the bundled sample for momentum with the local researcher: no key, no network.

python examples/discover_on_the_sample.py [FOLDER]
"""

import asyncio
import sys

from midas import create_midas
from midas.loops import OfflineLoopConfig
from midas_engine.events import CandidateAccepted, CandidateScored, SessionEnded


async def main(folder: str) -> None:
    config = OfflineLoopConfig(max_iterations=5)
    with create_midas(kb_path=folder, provider="local", data="sample", offline_config=config) as midas:
        async for event in midas.discover("momentum"):
            if isinstance(event, CandidateScored | CandidateAccepted | SessionEnded):
                print(event)
        print("candidates:", [record.name for record in midas.kb.features("candidate")])


if __name__ == "__main__":  # a session judges in worker processes, which read this file again
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "./midas-kb"))
