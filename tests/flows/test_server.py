import os
import threading
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gristmill.errors import RequirementError
from gristmill.flows import server
from gristmill.flows.order import Order
from gristmill.flows.server import Server, is_configured, serving


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch) -> Path:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    return tmp_path


def test_a_server_is_configured_by_environment_profile_or_file(bare, monkeypatch) -> None:
    assert not is_configured()
    profiles = bare / "home" / "profiles.toml"
    profiles.write_text(
        'active = "a"\n[profiles.a]\n[profiles.b]\nPREFECT_API_URL = "http://x/api"\n'
    )
    assert not is_configured()
    monkeypatch.setenv("PREFECT_PROFILE", "b")
    assert is_configured()
    profiles.write_text("not [toml")
    assert not is_configured()
    (bare / "prefect.toml").write_text('[api]\nurl = "http://x/api"\n')
    assert is_configured()
    (bare / "prefect.toml").unlink()
    monkeypatch.setenv("PREFECT_API_URL", "http://x/api")
    assert is_configured()


def test_a_configured_server_is_used_and_the_environment_is_put_back(bare, monkeypatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://x/api")
    before = dict(os.environ)
    with serving(bare) as found:
        assert found.process is None
        assert os.environ["PREFECT_API_URL"] == "http://x/api"
        assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert dict(os.environ) == before
    assert not (bare / ".gristmill").exists()


def test_a_server_that_dies_says_how_to_go_on(bare, monkeypatch) -> None:
    monkeypatch.setattr(server, "LAUNCH", "import sys; sys.exit('no sqlite here')")
    with serving(bare) as found, pytest.raises(RequirementError) as caught:
        found.wait()
    assert "no sqlite here" in str(caught.value)
    assert "--no-prefect" in str(caught.value)
    assert isinstance(found, Server)
    assert found.process is not None
    assert found.process.returncode == 1


@pytest.mark.parametrize(("status", "is_there"), [(200, True), (401, True), (500, False)])
def test_a_configured_server_is_asked_how_it_is(status, is_there) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    asked: list[str] = []
    with HTTPServer(("127.0.0.1", 0), Answers) as there:
        threading.Thread(target=there.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{there.server_port}/api"
        with (
            temporary_settings({PREFECT_API_URL: url}),  # Prefect read the environment long ago
            nullcontext() if is_there else pytest.raises(RequirementError, match=url),
        ):
            Server().wait()
    assert asked == ["/api/health"]


def test_an_order_survives_json_and_another_folder(bare, monkeypatch) -> None:
    (bare / "r.yaml").write_text("name: x")
    order = Order(recipe="r.yaml", sets=("a=1",), inputs=("hub:a/b", "r.yaml"), target=3).absolute()
    again = Order.model_validate(order.model_dump(mode="json"))
    assert again == order
    assert again.recipe == str(bare / "r.yaml")
    assert again.inputs == ("hub:a/b", str(bare / "r.yaml"))
    assert again.workspace == bare
