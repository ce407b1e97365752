"""Which server is meant, and where its token comes from."""

from pathlib import Path

import pytest

from service.client import Access
from service.errors import UserError

TOKEN = "monosweep_0123456789ab_c2VjcmV0"


@pytest.mark.usefixtures("environment")
class TestAccess:
    def test_without_a_token(self) -> None:
        assert Access.from_environment("http://sweeps.example/").token is None

    @pytest.mark.parametrize(
        "url",
        [
            "https://sweeps.example",
            "http://127.0.0.1:8700",
            "http://[::1]:8700",
            "http://localhost",
        ],
    )
    def test_a_token_is_sent_encrypted_or_on_this_machine(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MONOSWEEP_TOKEN", TOKEN)
        assert Access.from_environment(url).token == TOKEN

    @pytest.mark.parametrize(
        "url", ["http://sweeps.example", "http://10.0.0.1", "http://127.0.0.1.sweeps.example"]
    )
    def test_over_a_network_for_all_to_read_it_is_not(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MONOSWEEP_TOKEN", TOKEN)
        with pytest.raises(UserError, match="must be sent encrypted") as refused:
            Access.from_environment(url)
        assert TOKEN not in str(refused.value)
        monkeypatch.setenv("MONOSWEEP_INSECURE", "1")
        assert Access.from_environment(url).token == TOKEN

    def test_from_a_file(self, environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (environment / "token").write_text(f"{TOKEN}\n")
        monkeypatch.setenv("MONOSWEEP_TOKEN_FILE", str(environment / "token"))
        access = Access.from_environment("https://sweeps.example")
        assert access.token == TOKEN
        assert TOKEN not in repr(access)

    @pytest.mark.parametrize("content", [f"{TOKEN} {TOKEN}", f"{TOKEN}\nX-Evil: 1", "schlüssel"])
    def test_what_is_no_token_is_refused_and_not_shown(
        self, content: str, environment: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (environment / "token").write_text(content, encoding="utf-8")
        monkeypatch.setenv("MONOSWEEP_TOKEN_FILE", "token")
        with pytest.raises(
            UserError, match=r"one word.*\(MONOSWEEP_TOKEN_FILE, token\)"
        ) as refused:
            Access.from_environment("https://sweeps.example")
        assert content not in str(refused.value)

    def test_a_file_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MONOSWEEP_TOKEN_FILE", "nowhere")
        with pytest.raises(UserError, match=r"found: No such file or directory \(nowhere\)"):
            Access.from_environment("https://sweeps.example")

    @pytest.mark.parametrize(
        "url",
        [
            "sweeps.example",
            "ftp://sweeps.example",
            "https://",
            "https://sweeps.example:port",
            "https://sweeps.example:99999",
            "https://sweeps.example/?a=b",
            "https://[::1",
            "https://sweeps.example/\n",
        ],
    )
    def test_what_is_no_url_of_a_server(self, url: str) -> None:
        with pytest.raises(UserError, match="must be named by a URL such as"):
            Access.from_environment(url)

    def test_a_password_in_a_url_is_not_repeated(self) -> None:
        with pytest.raises(UserError, match="with no user") as refused:
            Access.from_environment("https://ada:hunter2@sweeps.example")
        assert "hunter2" not in str(refused.value)

    def test_commands_name_a_server_that_is_not_the_usual_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MONOSWEEP_SERVER", "https://usual.example")
        assert Access.from_environment("https://usual.example").again == ""
        other = Access.from_environment("https://other.example")
        assert other.again == " --server https://other.example"
