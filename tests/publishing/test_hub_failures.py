"""What is tried again, whichever HTTP library huggingface_hub is built on."""

import importlib
import socket
import threading

import pytest

from gristmill.publishing.hub_failures import is_cut


@pytest.mark.parametrize("name", ["requests", "httpx"])
def test_a_way_that_breaks_is_told_from_one_that_leads_nowhere(name) -> None:
    http = importlib.import_module(name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = "http://{}:{}/".format(*server.getsockname())

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(Exception) as broken:  # noqa: PT011 - each library has its own
            http.get(url)
        thread.join()
    with pytest.raises(Exception) as nowhere:  # noqa: PT011
        http.get(url)
    assert is_cut(http, broken.value)
    assert not is_cut(http, nowhere.value)
    assert not is_cut(http, OSError("disk full"))
