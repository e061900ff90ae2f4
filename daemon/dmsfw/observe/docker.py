"""Docker's networks, asked for over its API on a connection that is kept.

An unreadable Docker is not an empty Docker: every way to fail is an ObserveError, never a shorter list.
"""

from __future__ import annotations

import json
import socket
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dmsfw.errors import ObserveError
from dmsfw.observe.networks import parse_networks
from dmsfw.observe.pydocker import docker, requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dmsfw.model import Network

TIMEOUT_S = 2.0
"""How long one answer may keep us waiting."""

ANSWER_LIMIT = 32 * 2**20
"""Bytes of one answer at most. A network takes about 1 KB in the list."""

PIECE = 2**16

T = TypeVar("T")
SCHEME = "unix://"
START_HINT = "start it with: /etc/init.d/dockerd start"


def socket_path(url: str) -> str:
    """The socket's path in a `docker_url`.

    Raises: ObserveError for any other transport: whoever answers there would write our rules.
    """
    if not url.startswith(SCHEME + "/"):
        raise ObserveError("docker", f"docker_url must begin with unix:///, not {url[:80]!r}")
    return url[len(SCHEME) :]


class DockerReader:
    """Asks the daemon behind `url()`. For one thread; the client is made when needed and dropped after a failure."""

    def __init__(self, url: Callable[[], str], *, timeout_s: float = TIMEOUT_S) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._client: docker.APIClient | None = None
        self._client_url = ""
        self._request: requests.PreparedRequest | None = None

    def networks(self) -> tuple[Network, ...]:
        """Read the networks.

        Raises: ObserveError when Docker does not answer, or with something that is no list of networks.
        """
        return self._ask("/networks", parse_networks)

    def get(self, path: str) -> object:
        """One answer of the API, decoded. A daemon that drips is cut off.

        Raises: ObserveError, with a reason that says what to do where something can be done.
        """
        return self._ask(path, lambda answer: answer)

    def _ask(self, path: str, parse: Callable[[object], T]) -> T:
        url = self._url()
        try:
            require_listener(socket_path(url))
            return parse(self._answer(self._connected(url), path))
        except ObserveError:
            self.close()
            raise
        except Exception as error:  # docker-py and requests let through what a hostile answer makes of their insides
            self.close()
            raise ObserveError("docker", reason(error, url)) from error

    def close(self) -> None:
        """Drop the connection; the next reading makes another."""
        if self._client is not None:
            self._client.close()
            self._client = self._request = None

    def _connected(self, url: str) -> docker.APIClient:
        """The client for `url`. Making one asks the daemon for its version."""
        if self._client is not None and self._client_url != url:
            self.close()
        if self._client is None:
            self._client = docker.APIClient(base_url=url, timeout=self._timeout_s)  # type: ignore[arg-type]
            # Else requests looks for proxies and a netrc file at every request.
            self._client.trust_env = False
            # Nor is anybody followed to where he points: only this socket's owner is believed. Where `send` is told so,
            # requests still reads the whole of such an answer, however long it is and takes, to see where it points.
            self._client.get_redirect_target = lambda resp: None  # type: ignore[method-assign]  # noqa: ARG005
            self._client_url = url
        return self._client

    def _answer(self, client: docker.APIClient, path: str) -> object:
        ends_at = time.monotonic() + self._timeout_s
        request = self._prepared(client, f"{client.base_url}/v{client.api_version}{path}")
        with client.send(request, timeout=self._timeout_s, stream=True) as response:
            body = b"".join(_bounded(response, ends_at))
        if response.status_code != requests.codes.ok:
            raise ObserveError("docker", f"it answers {path} with HTTP {response.status_code}: {_one_line(body)}")
        decoded: object = json.loads(body)
        return decoded

    def _prepared(self, client: docker.APIClient, address: str) -> requests.PreparedRequest:
        """The request for an address. Making one takes as long as Docker's answer: the last is kept."""
        if self._request is None or self._request.url != address:
            self._request = client.prepare_request(requests.Request("GET", address))
        return self._request


def _bounded(response: requests.Response, ends_at: float) -> Iterator[bytes]:
    """The answer in pieces, as they come. requests' own timeout is for each of them, and it knows no limit."""
    size = 0
    for piece in response.iter_content(PIECE):
        size += len(piece)
        if size > ANSWER_LIMIT or time.monotonic() > ends_at:
            raise ObserveError("docker", f"an answer was not whole after {size} bytes and {TIMEOUT_S:g} s")
        yield piece


def require_listener(path: str) -> None:
    """See that somebody listens on the socket: 30 us. docker-py would leave its own socket open when it is refused.

    Raises: OSError that says why not; ObserveError when the path is no socket.
    """
    if not stat.S_ISSOCK(Path(path).stat().st_mode):
        raise ObserveError("docker", f"{path} is no socket: correct docker_url in /etc/config/dmsfw")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(TIMEOUT_S)
        probe.connect(path)


def reason(error: BaseException, url: str) -> str:
    """Say in one line why Docker could not be read, and what to do about it."""
    path = url[len(SCHEME) :]
    for cause in _causes(error):
        if isinstance(cause, FileNotFoundError):
            return f"Docker is not running (no {path}): {START_HINT}"
        if isinstance(cause, ConnectionRefusedError):
            return f"Docker is not running (nobody listens on {path}): {START_HINT}"
        if isinstance(cause, PermissionError):
            return f"no permission for {path}: run dmsfw as root"
        if isinstance(cause, (TimeoutError, requests.Timeout)):
            return f"no answer on {path} within {TIMEOUT_S:g} s: look at: logread -e dockerd"
    return f"{type(error).__name__}: {_one_line(str(error).encode())}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it: docker-py and requests wrap what the socket said several times."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _one_line(text: bytes) -> str:
    """Foreign text for a message: printable, one line, short."""
    return "".join(sign if sign.isprintable() else " " for sign in text.decode(errors="replace"))[:160]
