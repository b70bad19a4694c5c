"""`trio_h2.constants`: names and numbers, and that the library goes by the same ones."""

from __future__ import annotations

import dataclasses
import http

import pytest

import trio_h2
from tests.session.scripted import connected, served
from trio_h2 import ClientConfig, ErrorCode, PaddingStrategy, Role, SettingCode, Settings, constants

CODES = """NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR
REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED"""

# As Node's http2.constants has them, less what is spelled otherwise than its name.
FIELDS = """
accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials
access-control-allow-headers access-control-allow-methods access-control-allow-origin access-control-expose-headers
access-control-max-age access-control-request-headers access-control-request-method age allow alt-svc authorization
cache-control connection content-disposition content-encoding content-language content-length content-location
content-md5 content-range content-security-policy content-type cookie date dnt early-data etag expect expect-ct
expires forwarded from host http2-settings if-match if-modified-since if-none-match if-range if-unmodified-since
keep-alive last-modified link location max-forwards origin prefer priority proxy-authenticate proxy-authorization
proxy-connection purpose range referer refresh retry-after server set-cookie strict-transport-security te
timing-allow-origin tk trailer transfer-encoding upgrade upgrade-insecure-requests user-agent vary via warning
www-authenticate x-content-type-options x-forwarded-for x-frame-options x-xss-protection
"""
PSEUDO = ":method :scheme :authority :path :protocol :status"


@pytest.mark.parity("A11")
def test_error_codes() -> None:
    assert [(code.name, code.value) for code in constants.ErrorCode] == [
        (name, number) for number, name in enumerate(CODES.split())
    ]
    assert constants.ErrorCode is ErrorCode
    for number in range(0xE):
        assert trio_h2.error_code(number) is ErrorCode(number)
    for unknown in 0xE, 0xFF, 2**32 - 1:
        assert trio_h2.error_code(unknown) == unknown
        assert type(trio_h2.error_code(unknown)) is int
        assert trio_h2.code_name(unknown) == hex(unknown)


@pytest.mark.parity("A11")
async def test_an_unknown_code_stays_a_number(autojump_clock: object) -> None:
    async with connected() as (session, peer), session.request("GET") as stream:
        await peer.expect_headers()
        await peer.send_rst(stream.id, 0xABCDEF01)
        with pytest.raises(trio_h2.StreamResetError, match="0xabcdef01") as caught:
            await stream.receive_response()
        assert caught.value.code == 0xABCDEF01
        assert type(caught.value.code) is int
        assert type(stream.rst_code) is int


@pytest.mark.parity("A11")
def test_header_names() -> None:
    spelled = {name: value for name, value in vars(constants).items() if name.startswith("HEADER_")}
    assert set(spelled.values()) == {*FIELDS.split(), *PSEUDO.split()}
    for name, value in spelled.items():
        assert type(value) is str
        assert name == "HEADER_" + value.upper().replace("-", "_").lstrip(":")


@pytest.mark.parity("A11")
def test_padding_strategies_and_roles() -> None:
    assert [strategy.name for strategy in constants.PaddingStrategy] == ["NONE", "MAX", "ALIGNED"]
    assert constants.PaddingStrategy is PaddingStrategy
    assert [role.name for role in constants.Role] == ["CLIENT", "SERVER"]
    assert constants.Role is Role
    assert constants.SettingCode is SettingCode


@pytest.mark.parity("A11")
def test_settings() -> None:
    defaults = Settings.defaults()
    for field in dataclasses.fields(Settings):
        if field.name != "custom":
            value: object = getattr(defaults, field.name)
            assert getattr(constants, f"DEFAULT_SETTINGS_{field.name.upper()}") == value
    for name, low, high in (
        ("max_frame_size", constants.MIN_MAX_FRAME_SIZE, constants.MAX_MAX_FRAME_SIZE),
        ("initial_window_size", 0, constants.MAX_INITIAL_WINDOW_SIZE),
    ):
        for value in low, high:
            Settings(**{name: value})  # type: ignore[arg-type]  # a number
        for value in low - 1, high + 1:
            with pytest.raises(ValueError, match=name):
                Settings(**{name: value})  # type: ignore[arg-type]  # a number


@pytest.mark.parity("A11", "B9")
async def test_flags_and_names_in_use(autojump_clock: object) -> None:
    async with connected(config=ClientConfig(rfc7540_priorities=True)) as (session, peer):
        method = http.HTTPMethod.POST
        headers = {constants.HEADER_CONTENT_TYPE: "text/plain", constants.HEADER_AUTHORITY: "other"}
        async with session.request(method, headers=headers, weight=constants.DEFAULT_WEIGHT) as stream:
            frame = await peer.expect_headers()
            assert (frame.get(":method"), frame.get(":authority")) == ("POST", "other")
            assert frame.get("content-type") == "text/plain"
            flags = constants.FLAG_END_STREAM | constants.FLAG_END_HEADERS | constants.FLAG_PRIORITY
            assert frame.flags == flags
            await peer.respond(stream.id, body=b"")
            response = await stream.receive_response()
            assert stream.flags == response.flags == constants.FLAG_END_HEADERS


@pytest.mark.parity("A11")
async def test_statuses_of_the_standard_library(autojump_clock: object) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.send_informational(http.HTTPStatus.EARLY_HINTS)
        if stream.path == "/alone":
            await stream.respond(http.HTTPStatus.NO_CONTENT)
        else:
            await stream.respond({constants.HEADER_STATUS: http.HTTPStatus.IM_A_TEAPOT})

    async with served(handler) as (peer, _):
        for path, status in ("/alone", 204), ("/", 418):
            stream_id = await peer.request(path=path)
            await peer.expect_headers(stream_id, status=103)
            await peer.expect_headers(stream_id, status=status)
