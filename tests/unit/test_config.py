from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from callwright.config import (
    Settings,
    SettingsError,
    all_settings,
    check_binding,
    is_loopback,
    load_settings,
    pages_may_be_on_loopback,
)

REFERENCE = Path(__file__).parents[2] / "docs/reference/settings.md"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Write callwright.toml into an empty data folder and return the environment that names the folder."""

    def write(text: str) -> dict[str, str]:
        (tmp_path / "callwright.toml").write_text(text)
        return {"CALLWRIGHT_DATA": str(tmp_path)}

    return write


def test_without_anything_said_the_node_listens_on_loopback_only(tmp_path: Path) -> None:
    settings = load_settings(environ={"CALLWRIGHT_DATA": str(tmp_path)})
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert (settings.sip.host, settings.sip.port) == ("127.0.0.1", 5060)
    assert (settings.rtp.first_port, settings.rtp.last_port) == (20000, 29999)
    assert settings.cloud_id == "0-0-0"
    assert settings.data == tmp_path
    assert settings.admin_socket == tmp_path / "admin.sock"
    assert settings.media_workers >= 1


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_default(
    write: Callable[[str], dict[str, str]],
) -> None:
    environ = write("[http]\nport = 1\nhost = '127.0.0.2'\n[log]\nlevel = 'debug'\n")
    settings = load_settings(
        environ={**environ, "CALLWRIGHT_HTTP_PORT": "2", "CALLWRIGHT_LOG_LEVEL": "error"}, overrides={"http.port": 3}
    )
    assert (settings.http.port, settings.http.host, settings.log.level) == (3, "127.0.0.2", "error")
    assert settings.log.format == "auto"


def test_an_override_of_none_is_not_given(tmp_path: Path) -> None:
    settings = load_settings(environ={}, overrides={"data": tmp_path, "http.port": None})
    assert settings.http.port == 8080


def test_every_kind_of_value_is_read_from_the_file(write: Callable[[str], dict[str, str]]) -> None:
    settings = load_settings(
        environ=write(
            "cloud_id = '1-2-0'\n[http]\nbehind_proxy = true\n[calls]\ndrain_limit_s = 30\n"
            "[pages]\nallow = ['10.1.0.0/16', '::1']\n[rates]\ntts = 0.0072\npstn = '0.016'\n"
        )
    )
    assert settings.cloud_id == "1-2-0"
    assert settings.sip_domain == "sip-1-2-0.callwright.internal"
    assert settings.http.behind_proxy is True
    assert settings.calls.drain_limit_s == 30.0
    assert settings.pages.allow == ("10.1.0.0/16", "::1/128")
    assert (settings.rates.tts, settings.rates.pstn) == (Decimal("0.0072"), Decimal("0.016"))


def test_every_kind_of_value_is_read_from_text(tmp_path: Path) -> None:
    settings = load_settings(
        environ={
            "CALLWRIGHT_DATA": str(tmp_path),
            "CALLWRIGHT_HTTP_INSECURE_HTTP": "Yes",
            "CALLWRIGHT_PAGES_ALLOW": "10.1.0.0/16, 192.168.0.0/24",
            "CALLWRIGHT_RATES_TTS": "0.0072",
            "CALLWRIGHT_RATES_TOLLFREE_PREFIXES": "1800,44800",
            "CALLWRIGHT_LOG_FORMAT": "JSON",
            "CALLWRIGHT_SIP_DOMAIN": "sip-0-0-0.aculab.com",
        }
    )
    assert settings.http.insecure_http is True
    assert settings.pages.allow == ("10.1.0.0/16", "192.168.0.0/24")
    assert settings.rates.tts == Decimal("0.0072")
    assert settings.rates.tollfree_prefixes == ("1800", "44800")
    assert settings.log.format == "json"
    assert settings.sip_domain == "sip-0-0-0.aculab.com"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[http]\nport = 'eighty'", ["http.port", "callwright.toml", "'eighty'", "whole number from 0 to 65535"]),
        ("[http]\nport = true", ["http.port", "whole number"]),
        ("[http]\nport = 70000", ["http.port", "70000"]),
        ("[http]\nprt = 80", ["http.prt", "is not a setting", "callwright.toml", "did you mean http.port?"]),
        ("[htp]\nport = 80", ["htp", "is not a setting"]),
        ("port = 80", ["port", "did you mean", "http.port"]),
        ("http = 80", ["section", "[http]"]),
        ("[http]\nbehind_proxy = 'perhaps'", ["http.behind_proxy", "true or false"]),
        ("cloud_id = 'europe'", ["cloud_id", "three numbers"]),
        ("[pages]\nallow = ['10.1.0.0/99']", ["pages.allow", "list of networks"]),
        ("[pages]\nallow = [1]", ["pages.allow", "list of networks"]),
        ("[rates]\ntts = -1", ["rates.tts", "amount in dollars"]),
        ("[rates]\ntts = 0.0000001", ["rates.tts", "at most 6 decimals"]),
        ("[rates]\ntollfree_prefixes = ['+1800']", ["rates.tollfree_prefixes", "list of digits"]),
        ("[rates]\ntts = 'nan'", ["rates.tts", "amount in dollars"]),
        ("[log]\nlevel = 'loud'", ["log.level", "debug, info, warning, error"]),
        ("[calls]\ndrain_limit_s = nan", ["calls.drain_limit_s", "number from 0 to 86400"]),
        ("[errors]\nlink_base = 'javascript:x'", ["errors.link_base", "http://"]),
        ("[rtp]\nfirst_port = 3000\nlast_port = 3000", ["rtp.first_port 3000", "no pair"]),
        ("not toml at all", ["not valid TOML", "callwright.toml"]),
    ],
)
def test_a_bad_file_is_one_clear_error(write: Callable[[str], dict[str, str]], text: str, words: list[str]) -> None:
    environ = write(text)
    with pytest.raises(SettingsError) as raised:
        load_settings(environ=environ)
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("CALLWRIGHT_HTTP_PORT", "x", ["http.port", "the environment variable CALLWRIGHT_HTTP_PORT", "whole number"]),
        ("CALLWRIGHT_HTPP_PORT", "80", ["CALLWRIGHT_HTPP_PORT is not a setting", "CALLWRIGHT_HTTP_PORT"]),
        ("CALLWRIGHT_WHATEVER", "80", ["CALLWRIGHT_WHATEVER is not a setting", "settings.md"]),
    ],
)
def test_a_bad_environment_variable_is_one_clear_error(
    tmp_path: Path, variable: str, value: str, words: list[str]
) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(environ={"CALLWRIGHT_DATA": str(tmp_path), variable: value})
    for word in words:
        assert word in str(raised.value)


def test_a_bad_option_names_the_command_line() -> None:
    with pytest.raises(SettingsError, match=r"http\.port in the command line is '99999'"):
        load_settings(environ={}, overrides={"http.port": "99999"})


def test_a_named_settings_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml does not exist"):
        load_settings(environ={}, overrides={"data": tmp_path}, config_file=tmp_path / "nowhere.toml")
    with pytest.raises(SettingsError, match=r"elsewhere\.toml does not exist"):
        load_settings(environ={"CALLWRIGHT_CONFIG": str(tmp_path / "elsewhere.toml")}, overrides={"data": tmp_path})


def test_a_settings_file_may_name_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("data = '/srv/callwright'")
    assert load_settings(environ={}, config_file=tmp_path / "node.toml").data == Path("/srv/callwright")


def test_an_unreadable_settings_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "callwright.toml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(environ={"CALLWRIGHT_DATA": str(tmp_path)})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_plain_http_on_loopback_is_fine(host: str) -> None:
    check_binding(_with(host))
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "203.0.113.9", "calls.example.com"])
def test_plain_http_beyond_loopback_is_refused_unless_it_is_meant(host: str) -> None:
    with pytest.raises(SettingsError, match="--behind-proxy") as raised:
        check_binding(_with(host))
    assert host in str(raised.value)
    assert "--insecure-http" in str(raised.value)
    check_binding(_with(host, behind_proxy=True))
    check_binding(_with(host, insecure_http=True))


def test_tls_makes_any_address_fine_and_needs_both_files() -> None:
    files: dict[str, object] = {"http.certificate": "~/node.pem", "http.key": Path("/etc/node.key")}
    common: dict[str, object] = {"http.host": "0.0.0.0", "data": Path("/nowhere")}
    settings = load_settings(environ={}, overrides={**common, **files})
    check_binding(settings)
    assert settings.http.scheme == "https"
    assert settings.http.certificate == Path("~/node.pem").expanduser()
    assert Settings().http.scheme == "http"
    for lacking in files:
        with pytest.raises(SettingsError, match=f"{lacking} is not: TLS needs both files"):
            load_settings(environ={}, overrides={**common, **{k: v for k, v in files.items() if k != lacking}})


def test_an_empty_path_is_no_file(write: Callable[[str], dict[str, str]]) -> None:
    assert load_settings(environ=write("[http]\ncertificate = ''\n")).http.certificate is None
    with pytest.raises(SettingsError, match="path of a file, or empty"):
        load_settings(environ=write("[http]\ncertificate = 7\n"))


def test_pages_on_loopback_are_asked_only_while_http_is_on_loopback_or_when_allowed() -> None:
    assert pages_may_be_on_loopback(_with("127.0.0.1"))
    assert not pages_may_be_on_loopback(_with("203.0.113.9"))
    assert not pages_may_be_on_loopback(_with("127.0.0.1", behind_proxy=True))  # the proxy is there for others
    allowed = load_settings(
        environ={}, overrides={"http.host": "203.0.113.9", "pages.allow_private": True, "data": Path("/nowhere")}
    )
    assert pages_may_be_on_loopback(allowed)


def test_error_links_lead_to_the_node_itself_unless_set_otherwise() -> None:
    assert Settings().error_link_base("http://127.0.0.1:8080") == "http://127.0.0.1:8080/errors/"
    settings = load_settings(
        environ={}, overrides={"errors.link_base": "https://help.example/?error=", "data": Path("/nowhere")}
    )
    assert settings.error_link_base("http://127.0.0.1:8080") == "https://help.example/?error="


def test_error_links_lead_to_the_name_clients_know_the_node_by() -> None:
    settings = load_settings(
        environ={}, overrides={"http.public_url": "https://calls.example.com/", "data": Path("/nowhere")}
    )
    assert settings.error_link_base("https://0.0.0.0:443") == "https://calls.example.com/errors/"


def test_every_setting_is_documented_with_its_default_and_its_variable() -> None:
    page = REFERENCE.read_text()
    for setting in all_settings():
        row = next((line for line in page.splitlines() if line.startswith(f"| `{setting.name}` ")), None)
        assert row is not None, f"docs/reference/settings.md lacks {setting.name}"
        assert setting.variable in row
        assert setting.about in row
        shown = str(setting.default).lower() if isinstance(setting.default, bool) else str(setting.default)
        assert (f"`{shown}`" in row) or shown in ("", "()", "None"), f"{setting.name}: the page shows another default"


def test_the_page_documents_no_setting_that_does_not_exist() -> None:
    names = {setting.name for setting in all_settings()}
    for line in REFERENCE.read_text().splitlines():
        if line.startswith("| `"):
            assert line.split("`")[1] in names


def _with(host: str, **flags: bool) -> Settings:
    overrides: dict[str, object] = {"http.host": host, "data": Path("/nowhere")}
    overrides.update({f"http.{name}": value for name, value in flags.items()})
    return load_settings(environ={}, overrides=overrides)
