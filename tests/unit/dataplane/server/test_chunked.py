"""Chunked framing: data comes out as it went in, however it is cut up, and what is no chunk is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.server.bodies import ChunkedScan
from dataplane.server.chunked import ChunkedDecoder
from dataplane.server.errors import MalformedFraming


def decode(pieces: list[bytes]) -> tuple[bytes, bytes, bool]:
    """Data, what is left over, and whether the body is over."""
    decoder, buffer, data = ChunkedDecoder(), bytearray(), bytearray()
    for piece in pieces:
        buffer += piece
        while True:
            del buffer[: decoder.advance(buffer, 0)]
            count = min(decoder.left_bytes, len(buffer))
            if count == 0:
                break
            data += buffer[:count]
            decoder.take(count)
            del buffer[:count]
    return bytes(data), bytes(buffer), decoder.is_over


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.data())
def test_chunks_cut_anywhere_give_the_same_data(chunks: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    raw += b"0\r\nx-trailer: 1\r\n\r\n"
    stream = raw + b"GET /next"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert decode(pieces) == (b"".join(chunks), b"GET /next", True)

    scan, arrived, whole_at = ChunkedScan(), bytearray(), None
    for piece in pieces:
        arrived += piece
        if scan.is_whole(arrived):
            whole_at = len(arrived)
            break
    assert whole_at is not None
    assert whole_at >= len(raw)
    assert whole_at - len(piece) < len(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"-1\r\n",
        b"+5\r\n",
        b"0x5\r\n",
        b"5 \r\n",
        b" 5\r\n",
        b"1_0\r\n",
        b"\r\n",
        b";ext\r\n",
        b"g\r\n",
        b"11111111111111111\r\n",
        b"5\nhello",
        b"5;a\rb\r\nhello",
        b"5;a\x00b\r\nhello",
        b"5;" + b"x" * 300,
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n folded: 1\r\n\r\n",
        b"0\r\nspace : 1\r\n\r\n",
        b"0\r\n" + b"a: b\r\n" * 17,
        b"0\r\na: \x00\r\n\r\n",
    ],
)
def test_what_is_no_chunk_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedFraming):
        decode([raw])

    with pytest.raises(MalformedFraming):
        decode([bytes([byte]) for byte in raw])

    assert ChunkedScan().is_whole(bytearray(raw)), "nothing more is waited for"


@pytest.mark.parametrize("raw", [b"", b"5", b"5\r", b"5\r\nhel", b"5\r\nhello\r", b"0\r\n", b"0\r\na: b\r\n"])
def test_what_may_still_become_whole_is_waited_for(raw: bytes) -> None:
    assert not ChunkedScan().is_whole(bytearray(raw))
