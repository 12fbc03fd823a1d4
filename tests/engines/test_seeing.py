"""Images in requests: which files are sent, and what names the answer."""

import base64
from pathlib import Path

import pytest

from gristmill.engines.requests import Generate, Sampling
from gristmill.engines.seeing import See, data_url, with_images
from gristmill.errors import InputError

PNG = b"\x89PNG\r\n\x1a\n" + b"rest"
URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
ASK = [{"role": "system", "content": "S"}, {"role": "user", "content": "What is it?"}]
HOW = Sampling(0.0)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (PNG, "png"),
        (b"\xff\xd8\xff", "jpeg"),
        (b"GIF89a", "gif"),
        (b"RIFF\n\0\0\nWEBPVP8 ", "webp"),
    ],
)
def test_an_image_below_the_folder_is_read(start: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.bin").write_bytes(start)
    encoded = base64.b64encode(start).decode()
    assert data_url("in/x.bin", tmp_path) == f"data:image/{kind};base64,{encoded}"


def test_nothing_else_is_ever_sent(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "key.png").write_text("-----BEGIN PRIVATE KEY-----")
    (tmp_path / "x.png").write_bytes(PNG)
    (folder / "link.png").symlink_to(tmp_path / "x.png")
    names = ("key.png", "../x.png", str(tmp_path / "x.png"), "link.png", "none.png", "", ".")
    for name in (*names, "x" * 5000, "a\0b.png"):
        with pytest.raises(InputError):
            data_url(name, folder)
    for url in ("data:text/html;base64,QUJD", "data:image/png;base64,AB C", "data:image/svg+xml,x"):
        with pytest.raises(InputError, match="holds no PNG"):
            data_url(url, folder)
    assert data_url(URL, folder) == URL


def test_the_content_of_an_image_is_in_the_key_and_its_place_is_not(tmp_path: Path) -> None:
    for name, data in (("a.png", PNG), ("b.png", PNG), ("c.png", PNG + b"!")):
        (tmp_path / name).write_bytes(data)
    a, b, c = (
        See(ASK, HOW, images=(data_url(name, tmp_path),)).key("x")
        for name in ("a.png", "b.png", "c.png")
    )
    assert a == b != c
    assert a != Generate(ASK, HOW).key("x")
    assert a != See(ASK, HOW, images=(URL, URL)).key("x")


def test_images_are_parts_of_the_last_message() -> None:
    assert with_images(See(ASK, HOW, images=(URL,))) == [
        ASK[0],
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": URL, "detail": "low"}},
                {"type": "text", "text": "What is it?"},
            ],
        },
    ]
    assert with_images(Generate(ASK, HOW)) is ASK
