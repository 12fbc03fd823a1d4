"""The request for a text about images, and the files that may be sent for it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gristmill.engines.requests import Generate, Op, Prompt
from gristmill.errors import InputError
from gristmill.storage.ids import digest

DATA_URL = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}")
KINDS = {
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "gif": re.compile(rb"GIF8[79]a"),
    "webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}
"""How the files begin: nothing else is ever read out of a folder and sent."""


@dataclass(frozen=True, slots=True)
class See(Generate):
    """Write a text after looking at images, which stand before the text of the last message."""

    op: ClassVar[Op] = "see"

    images: tuple[str, ...] = ()
    """Data URLs: their content, not their name, is in the key."""

    def key(self, identity: str) -> str:
        """Return the name of the answer."""
        return digest(Generate.key(self, identity), self.images)


def data_url(image: str, folder: Path) -> str:
    """Return an image as a data URL: one already, or a file below the folder.

    Raises:
        InputError: It is no image, or not below the folder.
    """
    if image.startswith("data:"):
        if DATA_URL.fullmatch(image):
            return image
        raise InputError("the data URL holds no PNG, JPEG, GIF or WebP in base64")
    none = InputError(f"there is no file '{image[:200]}' in the folder of images, '{folder}'")
    try:
        path = (folder / image).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise none
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # a name that is too long, or has a null character
        raise none from error
    kind = next((kind for kind, start in KINDS.items() if start.match(data)), None)
    if kind is None:
        raise InputError(f"'{image}' is none of {', '.join(KINDS)}")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def with_images(request: Generate) -> Any:
    """Return a request's prompt as chat servers take it, the images as parts of low detail."""
    prompt: Prompt = request.prompt
    if not isinstance(request, See) or isinstance(prompt, str):
        return prompt
    shown = [
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}} for url in request.images
    ]
    *before, last = prompt
    text = {"type": "text", "text": last["content"]}
    return [*before, {"role": last["role"], "content": [*shown, text]}]
