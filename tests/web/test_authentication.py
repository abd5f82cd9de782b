"""Pages and who may ask for them: every page, asked by everybody; and what the auditor hears of it."""

from __future__ import annotations

import http.client
import logging
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from scheduler.rpc.writers import Writers
from scheduler.security.audit import Deed
from scheduler.security.realm import Realm
from scheduler.testing.serving import InThread, StageCore, serving
from scheduler.testing.stage import Stage
from scheduler.web.authentication import ADMIN_PAGES, permission
from scheduler.web.pages.process import Ending
from scheduler.web.pages.table import pages

FILE: Final = "[users]\nreader = r\nops = o, ops\nadmin = x, admin\n[roles]\nadmin = *\nops = http.Admin:logconfig\n"
PASSWORDS: Final = {"reader": "r", "ops": "o", "admin": "x"}

_MNAME: Final = "/mname/{role}/{env}/{job}/{instance}"

PAGES: Final = {
    ("GET", "/health"): "open",
    ("GET", "/leaderhealth"): "open",
    ("GET", "/vars"): "open",
    ("GET", "/vars.json"): "open",
    ("GET", "/metrics"): "open",
    ("GET", "/events"): "open",
    ("GET", "/threads"): "admin",
    ("GET", "/contention"): "open",
    ("GET", "/logconfig"): "logconfig",
    ("POST", "/logconfig"): "logconfig",
    ("POST", "/quitquitquit"): "admin",
    ("POST", "/abortabortabort"): "admin",
    ("GET", "/quitquitquit"): "admin",
    ("POST", "/quitquitquit/"): "admin",
    ("POST", "//quitquitquit"): "admin",
    ("POST", "/%71uitquitquit"): "admin",
    ("POST", "/vars"): "admin",
    ("DELETE", "/"): "admin",
    ("PUT", "/a/page/of/tomorrow"): "admin",
    ("GET", "/a/page/of/tomorrow"): "open",
    ("POST", "/mname/www/prod/hello/0"): "open",
    ("GET", "/"): "open",
    ("GET", "/index.html"): "open",
    ("GET", "/scheduler"): "open",
    ("GET", "/scheduler/{role}"): "open",
    ("GET", "/scheduler/{role}/{env}"): "open",
    ("GET", "/scheduler/{role}/{env}/{job}"): "open",
    ("GET", "/scheduler/{role}/{env}/{job}/{instance}"): "open",
    ("GET", "/scheduler/{role}/{env}/{job}/task/{id}"): "open",
    ("GET", "/scheduler/{role}/{env}/{job}/update/{id}"): "open",
    ("GET", "/updates"): "open",
    ("GET", "/agents"): "open",
    ("GET", "/slaves"): "open",
    ("GET", "/offers"): "open",
    ("GET", "/pendingtasks"): "open",
    ("GET", "/state"): "open",
    ("GET", "/maintenance"): "open",
    ("GET", "/quotas"): "open",
    ("GET", "/tiers"): "open",
    ("GET", "/utilization"): "open",
    ("GET", "/utilization/{metric}"): "open",
    ("GET", "/utilization/{metric}/{role}"): "open",
    ("GET", "/structdump"): "open",
    ("GET", "/structdump/task/{id}"): "open",
    ("GET", "/structdump/cron/{role}/{env}/{job}"): "open",
    ("GET", "/cron"): "open",
    ("GET", "/mname"): "open",
    **{(method, _MNAME): "open" for method in ("GET", "PUT", "POST", "DELETE")},
    **{(method, f"{_MNAME}/{{rest:path}}"): "open" for method in ("GET", "PUT", "POST", "DELETE")},
}
WHO: Final = ("anonymous", "wrong password", *PASSWORDS)


def expected(kind: str, who: str) -> int | None:
    """None: the page itself answers."""
    if who == "wrong password":
        return 401
    if kind == "open" or who == "admin" or (kind, who) == ("logconfig", "ops"):
        return None
    return 401 if who == "anonymous" else 403


@pytest.fixture
def heard() -> list[Deed]:
    return []


@pytest.fixture
def house(tmp_path: Path, heard: list[Deed]) -> Iterator[InThread]:
    path = tmp_path / "users.ini"
    path.write_text(FILE)
    path.chmod(0o600)
    with serving(realm=Realm(path), audit=heard.append) as found:
        yield found


def ask(house: InThread, method: str, path: str, who: str, body: str | None = None) -> tuple[int, bool]:
    """Status, and whether it was a challenge."""
    headers = {}
    if who != "anonymous":
        user, password = ("admin", "wrong") if who == "wrong password" else (who, PASSWORDS[who])
        headers["Authorization"] = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", house.http_port, timeout=10)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    connection.close()
    return answer.status, answer.getheader("WWW-Authenticate") is not None


@pytest.mark.parametrize(("method", "path"), PAGES, ids=str)
def test_the_matrix(house: InThread, method: str, path: str) -> None:
    for who in WHO:
        status, challenged = ask(house, method, path, who)
        wanted = expected(PAGES[method, path], who)
        assert (who, status in (401, 403)) == (who, wanted is not None)
        assert wanted is None or (who, status) == (who, wanted)
        assert challenged is (status == 401)


def test_every_page_that_is_served_has_a_row() -> None:
    """Read off the table itself: a new page without a row fails."""
    served = list(pages(StageCore(Stage()), Writers(), dict, Ending(lambda: None, lambda: None)))
    assert served
    for page in served:
        for method in page.methods:
            assert (method, page.path) in PAGES


@pytest.mark.parametrize("page", sorted(ADMIN_PAGES))
def test_what_shows_or_changes_the_process_wants_a_permission_whatever_the_method(page: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS", "BREW"):
        assert permission(f"/{page}", method) == page
        assert permission(f"/{page}/x", method) == page


@pytest.mark.parametrize("path", ["/api", "/apibeta", "/apibeta/killTasks"])
def test_thrift_asks_for_itself(path: str) -> None:
    assert permission(path, "POST") is None


def test_several_authorization_headers_are_refused(house: InThread) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", house.http_port, timeout=10)
    connection.putrequest("GET", "/health")
    for user in ("reader:r", "admin:x"):
        connection.putheader("Authorization", "Basic " + b64encode(user.encode()).decode())
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_an_address_that_is_wrong_too_often_is_told_to_wait(house: InThread) -> None:
    found = []
    for number in range(25):
        connection = http.client.HTTPConnection("127.0.0.1", house.http_port, timeout=10)
        header = "Basic " + b64encode(f"admin:{number}".encode()).decode()
        connection.request("GET", "/health", headers={"Authorization": header})
        answer = connection.getresponse()
        found.append((answer.status, answer.getheader("Retry-After")))
        connection.close()
    assert found == [(401, None)] * 20 + [(429, "5")] * 5


def test_what_is_done_by_way_of_a_page_is_audited(house: InThread, heard: list[Deed]) -> None:
    for who in ("anonymous", "wrong password", "reader", "admin"):
        ask(house, "POST", "/quitquitquit", who)
    ask(house, "POST", "/apibeta/killTasks", "wrong password")
    for who in ("wrong password", "admin"):
        ask(house, "GET", "/vars", who)
    assert [(deed.user, deed.call, deed.result) for deed in heard] == [
        ("UNSECURE", "POST /quitquitquit", "401"),
        ("UNSECURE", "POST /quitquitquit", "401"),
        ("reader", "POST /quitquitquit", "403"),
        ("admin", "POST /quitquitquit", "200"),
        ("UNSECURE", "POST /apibeta/killTasks", "401"),
    ]


def test_what_became_of_the_levels_of_loggers_is_audited(house: InThread, heard: list[Deed]) -> None:
    logger = logging.getLogger("thesan")
    before = logger.level
    for form in ("logger=thesan&level=off", "logger=thesan.audit&level=OFF", "logger=" + "x" * 999):
        assert ask(house, "POST", "/logconfig", "ops", form)[0] in (200, 400)
    logger.setLevel(before)
    assert [(deed.user, deed.call, deed.result, deed.arguments) for deed in heard] == [
        ("ops", "POST /logconfig", "200", {"logger": "thesan", "level": "OFF"}),
        ("ops", "POST /logconfig", "400", {"logger": "thesan.audit", "level": "OFF"}),
        ("ops", "POST /logconfig", "400", {"logger": "x" * 100, "level": ""}),
    ]


def test_without_users_pages_are_audited_too(heard: list[Deed]) -> None:
    with serving(audit=heard.append) as found:
        assert ask(found, "POST", "/quitquitquit", "anonymous") == (200, False)
    assert [(deed.user, deed.call, deed.result) for deed in heard] == [("UNSECURE", "POST /quitquitquit", "200")]
