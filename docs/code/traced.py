"""A download that is slow, with a trace of it."""

import trio

import trio_h2
from trio_h2.instruments import LogInstrument, QlogTrace, SessionInfo, StreamEnd, StreamInfo


async def download(url: str, pause: float = 0.05) -> int:
    """Downloads, and writes down what happens meanwhile."""
    size = 0
    with QlogTrace("slow.sqlog", title=f"download of {url}") as trace:
        config = trio_h2.ClientConfig(instruments=[trace, LogInstrument()])
        async with trio_h2.connect(url, config=config) as session, session.request() as stream:
            while chunk := await stream.receive_some():
                size += len(chunk)
                await trio.sleep(pause)  # the reason why it is slow
    return size


# -- an instrument of your own
class SlowResponses(trio_h2.Instrument):
    """Prints which requests have to wait long for their response."""

    def stream_closed(
        self,
        session: SessionInfo,
        stream: StreamInfo,
        end: StreamEnd,
        now: float,
    ) -> None:
        if end.first_byte is not None and end.first_byte > 1 and stream.headers is not None:
            print(f"{session.label}: {stream.headers[':path']} took {end.first_byte:.1f} s")


# -- end
