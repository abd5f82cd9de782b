"""Thrift calls over HTTP: one pooled session, redirects to the leader followed, credentials as `access.py` has them.

What is tried again, and what is not:

- ERROR_TRANSIENT promises that nothing happened, and so does a refused connection: any call is sent again.
- A connection that broke, timed out or gave no readable answer leaves open whether the call was carried out: only
  calls that may safely happen twice (`IDEMPOTENT`) are sent again.
- Every other answer is final.

Each time it is asked anew where the scheduler is: another one may lead by now (`places.py`).
"""

from __future__ import annotations

import ssl
import time
from ipaddress import ip_address
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from thriftpy2.thrift import TApplicationException
from urllib3.exceptions import HTTPError, LocationValueError, NewConnectionError

from scheduler.client.access import access_to, place_of
from scheduler.client.errors import CommandError, NotAllowed, Refused, Transient, UnknownMethod, Unreachable
from scheduler.client.wire import CONTENT_TYPE, NotAnAnswer, decode_answer, encode_call
from scheduler.interface import aurora

IDEMPOTENT: Final = frozenset(
    {
        "getRoleSummary",
        "getJobSummary",
        "getTasksStatus",
        "getTasksWithoutConfigs",
        "getPendingReason",
        "getConfigSummary",
        "getJobs",
        "getQuota",
        "populateJobConfig",
        "getJobUpdateSummaries",
        "getJobUpdateDetails",
        "getJobUpdateDiff",
        "getTierConfigs",
        "getServerState",
        "listBackups",
        "queryRecovery",
        "maintenanceStatus",
        "pulseJobUpdate",
        "pauseJobUpdate",
        "abortJobUpdate",
        "explainUpdate",
        "showCronJob",
        "heartbeat",
        "overrideHeartbeat",
        "pauseJobUpdateFor",
        "replayUpdate",
        "simulateUpdate",
    }
)
"""Calls that do the same whether they happen once or twice. A resume does not: it may lift a second pause."""

_NOT_SENT: Final = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.ProxyError,
    requests.exceptions.SSLError,
    requests.exceptions.InvalidURL,
    LocationValueError,
    NewConnectionError,
)
_TROUBLE: Final = (OSError, ValueError, HTTPError)
"""What requests raises: its own errors are OSErrors, and it lets through what the layers below say of a strange answer,
or of a strange address, which may come from a redirect."""
_NO_LEADER: Final = (502, 503, 504)
_RETRY_WAITS_S: Final = (0.1, 0.3, 0.8, 1.5)


class Connection:
    """A way to call a scheduler, or the leader it redirects to.

    `retry_s`: for how many seconds a call that may be tried again is tried again; as long as the place wants, if None.
    """

    def __init__(
        self, server: str, *, connect_timeout_s: float = 3, timeout_s: float = 20, retry_s: float | None = None
    ) -> None:
        """`server` is an `access.Server`, or a URL. Raises Usage."""
        self._place = place_of(server)
        self.server = str(self._place)
        """Where the last call went, for people; before the first one, where to look."""
        self.retry_s = self._place.retry_s if retry_s is None else retry_s
        self._timeout = (connect_timeout_s, timeout_s)
        access = access_to(server)
        self._verify = access.verify
        self._session = access.session()
        self._session.headers.update({"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE, "User-Agent": "thesan"})
        self._seqid = count(1)

    def close(self) -> None:
        self._session.close()

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method and return the answer of an OK: a Response, or a struct of Thesan's own.

        Raises Refused (with the server's sentences), NotAllowed, Unreachable.
        """
        response = self.call_raw(method, **arguments)
        codes = aurora.ResponseCode
        if response.responseCode == codes.OK:
            return response
        name = codes._VALUES_TO_NAMES.get(response.responseCode, str(response.responseCode))
        message = details_of(response) or f"{method} was answered with {name} and no explanation"
        if response.responseCode == codes.AUTH_FAILED:
            raise NotAllowed(message)
        raise Refused(name, message, getattr(response, "result", None))

    def call_raw(self, method: str, **arguments: Any) -> Any:
        """As `call`, but also for answers without a response code: returns whatever the method returns."""
        give_up_at = time.monotonic() + self.retry_s
        waits = iter(_RETRY_WAITS_S)
        while True:
            try:
                return self._once(method, arguments)
            except (Unreachable, Transient) as failure:
                safe = isinstance(failure, Transient) or not failure.sent or method in IDEMPOTENT
                wait_s = next(waits, _RETRY_WAITS_S[-1])
                if isinstance(failure, Unreachable) and failure.lasting:
                    raise
                if not safe:
                    raise _with_doubt(failure, method) from failure
                if time.monotonic() + wait_s > give_up_at:
                    raise
                time.sleep(wait_s)

    def get(self, path: str) -> requests.Response:
        """A page of the server that is not Thrift, such as /health. Raises Unreachable."""
        url = self._found()
        try:
            return self._session.get(f"{url}{path}", timeout=self._timeout, proxies=no_proxy(url), verify=self._verify)
        except _TROUBLE as failure:
            raise self._unreachable(failure) from failure

    def _found(self) -> str:
        self.server = self._place.find()
        return self.server

    def _once(self, method: str, arguments: dict[str, Any]) -> Any:
        url = self._found()
        try:
            return self._ask(url, method, arguments)
        except (Unreachable, Transient):
            self._place.failed(url)
            raise

    def _ask(self, url: str, method: str, arguments: dict[str, Any]) -> Any:
        body = encode_call(method, arguments, next(self._seqid))
        try:
            answer = self._session.post(
                f"{url}/api", data=body, timeout=self._timeout, proxies=no_proxy(url), verify=self._verify
            )
        except _TROUBLE as failure:
            raise self._unreachable(failure) from failure
        self._check_status(method, answer)
        try:
            response = decode_answer(method, answer.content)
        except TApplicationException as failure:
            unknown = failure.type == TApplicationException.UNKNOWN_METHOD
            kind = UnknownMethod if unknown else CommandError
            raise kind(f"{self.server} cannot serve {method}: {failure.message}") from None
        except NotAnAnswer as failure:
            raise Unreachable(f"{self.server} does not answer as a scheduler: {failure}", sent=True) from None
        if getattr(response, "responseCode", None) == aurora.ResponseCode.ERROR_TRANSIENT:
            why = details_of(response) or "no explanation"
            raise Transient("ERROR_TRANSIENT", f"{self.server} is not ready: {why}")
        return response

    def _check_status(self, method: str, answer: requests.Response) -> None:
        status = answer.status_code
        if status == 200:
            return
        said = _first_line(answer)
        if status == 401:
            how = "--login gives them, or ~/.netrc"
            raise NotAllowed(f"{self.server} wants a user and a password (401; {how}){said}")
        if status == 429:
            raise Transient("429", f"{self.server} is asked too often{said}")
        if status in _NO_LEADER:
            raise Unreachable(f"{self.server} has no leader to serve the call ({status}){said}", sent=False)
        if status == 500:
            raise Unreachable(f"{self.server} could not finish the call (500){said}", sent=True)
        raise CommandError(f"{self.server} refused {method}: HTTP {status} {answer.reason}{said}")

    def _unreachable(self, failure: Exception) -> Unreachable:
        chain = _chain(failure)
        untrusted = next((one for one in chain if isinstance(one, ssl.SSLCertVerificationError)), None)
        if untrusted is not None:
            why = f"its certificate is not trusted: {untrusted.verify_message}; --ca-file names who signed it"
            return Unreachable(f"cannot reach a scheduler at {self.server}: {why}", sent=False, lasting=True)
        sent = not any(isinstance(one, _NOT_SENT) for one in chain)
        if isinstance(failure, requests.exceptions.Timeout):
            why = "no answer in time"
        else:
            why = _cause(failure)
        return Unreachable(f"cannot reach a scheduler at {self.server}: {why}", sent=sent)


def _with_doubt(failure: CommandError, method: str) -> Unreachable:
    doubt = f"it is not known whether {method} was carried out, look before you repeat it"
    return Unreachable(f"{failure.format_message().rstrip('.')}; {doubt}", sent=True)


def details_of(response: Any) -> str:
    """The sentences of an answer, joined: Aurora's are structs, Thesan's own are texts."""
    texts = (one if isinstance(one, str) else one.message for one in response.details or ())
    return ", ".join(text for text in texts if text)


def no_proxy(url: str) -> dict[str, str]:
    """What requests wants as `proxies`: none for what listens on this machine."""
    host = urlsplit(url).hostname or ""
    return {"no_proxy": host} if _is_loopback(host) else {}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _first_line(answer: requests.Response) -> str:
    """What an answer in plain text says, to be appended to a sentence."""
    if not answer.headers.get("Content-Type", "").startswith("text/plain"):
        return ""
    line = answer.text.strip().partition("\n")[0][:200]
    return f": {line}" if line else ""


def _cause(failure: BaseException) -> str:
    """The operating system's word for what lies at the bottom of a chain of library errors."""
    for one in _chain(failure):
        if isinstance(one, OSError) and one.strerror:
            return one.strerror.lower()
    return str(failure).partition("(Caused by")[0] or type(failure).__name__


def _chain(failure: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    todo: list[Any] = [failure]
    while todo and len(found) < 20:
        one = todo.pop()
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            todo += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return found
